"""One HTTP exchange as a value: what the server hands to a handler and what it gets back.

The bytes that a signature covers (method, path, query, headers) are kept exactly as they arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec


class Body(Protocol):
    """A request's body, read once. `100-continue` is answered at the first read."""

    async def read(self, limit_bytes: int) -> bytes:
        """All of it; raises `BodyTooLarge` beyond the limit, `ConnectionError` where the client left."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Piece by piece, with back-pressure on the sender."""
        ...


class BodyTooLarge(Exception):
    """The body is longer than its reader allows; answered 413."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived."""

    method: str
    path: str  # raw, percent-encoding kept, without the query
    query: str  # raw, "" where there is none
    headers: dict[str, str]  # names in lower case; repeated ones joined with ","
    peer: str  # the client's address
    body: Body


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `body` is bytes, or pieces that are sent with back-pressure as they come."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None  # Content-Length of a streamed body; None: chunked. For HEAD: the length told


Handler = Callable[[Request], Awaitable[Response]]


class WebSocket(Protocol):
    """An open websocket."""

    async def receive(self) -> str | None:
        """The next message; None once the peer has closed. A binary one ends the connection."""
        ...

    async def receive_any(self) -> str | bytes | None:
        """The next message, text or binary; None once the peer has closed."""
        ...

    async def send(self, text: str) -> None:
        """Send text; waits while the peer is slow, raises `ConnectionError` where it has left."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """As `send`, for a binary message."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


WebSocketHandler = Callable[[Request], Awaitable["Response | Callable[[WebSocket], Awaitable[None]]"]]
"""Asked at the handshake: a Response refuses it; a coroutine function takes the open socket."""


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of `name` (lower case) in a list of headers."""
    return next((value for key, value in headers if key.lower() == name), None)
