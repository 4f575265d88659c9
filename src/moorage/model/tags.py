"""Tags, and the key-value pair that half of the AWS APIs are made of."""

from __future__ import annotations

import msgspec


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: str = ""


Tags = tuple[Tag, ...]
