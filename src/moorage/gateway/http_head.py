"""The head of an answer: status line and headers, with the framing of what follows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from moorage.wire.http import Response

_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# Whatever a handler says about these is the server's to say.
_OURS: Final = frozenset({"connection", "content-length", "transfer-encoding", "date", "keep-alive"})


def is_bodiless(method: str, status: int) -> bool:
    """Answers that have no body, whatever their headers say (RFC 9110, 6.4.1)."""
    return method == "HEAD" or status in {204, 304} or status < 200


def is_chunked(method: str, http_1_0: bool, response: Response) -> bool:
    """A stream of unknown length is chunked; HTTP/1.0 knows no chunks and is closed at the end."""
    streamed = not isinstance(response.body, bytes) and response.length is None
    return streamed and not http_1_0 and not is_bodiless(method, response.status)


def head_of(response: Response, *, chunked: bool, keep_alive: bool, date: str) -> bytes:
    """The bytes of the head; raises ValueError where a header would break the framing."""
    parts = [_STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} -\r\n"]
    for name, value in response.headers:
        line = f"{name}: {value}\r\n"
        if "\n" in value or "\r" in value or "\0" in value or not name.isascii() or ":" in name:
            raise ValueError(f"not a header: {line!r}")
        if name.lower() not in _OURS:
            parts.append(line)
    length = len(response.body) if isinstance(response.body, bytes) and not response.length else response.length
    if chunked:
        parts.append("Transfer-Encoding: chunked\r\n")
    elif length is not None and response.status not in {204, 304}:
        parts.append(f"Content-Length: {length}\r\n")
    parts.append(f"Date: {date}\r\n\r\n" if keep_alive else f"Date: {date}\r\nConnection: close\r\n\r\n")
    return "".join(parts).encode("latin-1", "replace")
