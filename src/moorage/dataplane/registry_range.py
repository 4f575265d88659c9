"""One byte range of a blob, as a client asks for it (RFC 9110, 14.1.2)."""

from __future__ import annotations

import re

from moorage.dataplane.registry_errors import RegistryError

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None for the whole. 416 where no byte is meant.

    What is no single byte range (several of them, another unit) is ignored, as the RFC allows.
    """
    told = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if told is None or told.groups() == ("", ""):
        return None
    first, last = told.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        headers = (("Content-Range", f"bytes */{size}"),)
        raise RegistryError("SIZE_INVALID", f"the blob has {size} bytes", status=416, headers=headers)
    return start, end
