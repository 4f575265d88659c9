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


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Events with start_ms <= timestamp < end_ms, ordered by (timestamp, id); `after` and `before` are exclusive
    (timestamp, id) cursors. `forward` False reads from the end; the result is then descending.

    The result ends before the event that would take its messages past `max_bytes`, but is never empty for that.
    """

    start_ms: int = 0
    end_ms: int = 1 << 62
    after: tuple[int, int] | None = None
    before: tuple[int, int] | None = None
    forward: bool = True
    limit: int = 10_000
    max_bytes: int = 1 << 20


class StreamSpan(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream holds: its first and last event, and the weight of all messages."""

    first_ms: int
    last_ms: int
    last_ingested_ms: int
    stored_bytes: int = 0
