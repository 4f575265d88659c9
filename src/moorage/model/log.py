"""CloudWatch Logs groups and streams; their events are bulk and live in a store of their own."""

from __future__ import annotations

import msgspec

from moorage.base.ids import AccountId, Region
from moorage.model.tags import Tags


class LogGroup(msgspec.Struct, frozen=True, kw_only=True):
    account: AccountId
    region: Region
    name: str
    arn: str  # without the trailing ":*"
    created_at: float
    retention_days: int | None = None  # None: for ever
    tags: Tags = ()


class LogStream(msgspec.Struct, frozen=True, kw_only=True):
    """`number` names the stream in the store of events; it is never used again."""

    account: AccountId
    region: Region
    group: str
    name: str
    arn: str
    number: int
    created_at: float


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    timestamp_ms: int
    message: str
    ingested_ms: int
    id: int  # ascending in the order of arrival
