"""What a connection needs of the server that accepted it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from moorage.wire.http import Request, Response, WebSocketHandler

T = TypeVar("T")


class Connected(Protocol):
    """A connection as the server sees it."""

    def drain(self) -> None: ...

    def abort(self) -> None: ...

    def sweep(self) -> None: ...


class Host(Protocol):
    """The server as a connection sees it. `now_s` is a steady clock, set at every sweep."""

    loop: asyncio.AbstractEventLoop
    now_s: float

    def admit(self, connection: Connected, /) -> bool:
        """False where the server is full."""
        ...

    def forget(self, connection: Connected, /) -> None: ...

    def websocket_handler(self, path: str, /) -> WebSocketHandler | None: ...

    def date(self) -> str:
        """The Date header, as of the last sweep."""
        ...

    async def respond(self, request: Request, /) -> Response:
        """The handler's answer, or the answer to its failure; raises only `ConnectionError`."""
        ...

    async def contain(self, work: Awaitable[T], request: Request, /) -> T | Response:
        """What `work` returns, or 500 for what it raised; raises only `ConnectionError`."""
        ...

    def failure(self, request: Request, error: Exception, /) -> Response:
        """Log an error that nobody foresaw, and answer it."""
        ...
