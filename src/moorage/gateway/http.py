"""Moorage's HTTP/1.1 server: llhttp for parsing, asyncio (uvloop where the program chose it) for sockets.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

from moorage.base.errors import Unavailable
from moorage.gateway.http_connection import Connection
from moorage.gateway.http_context import ServerContext
from moorage.gateway.http_limits import SWEEP_PERIOD_S
from moorage.wire.http import Handler, WebSocketHandler

__all__ = ["CannotListen", "HttpServer"]

# Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
_BACKLOG = 4096


class CannotListen(Unavailable):
    """The address cannot be listened on: taken, not ours, or not allowed."""


class HttpServer:
    """Answers requests with `handler`, and websockets with the handler of the longest matching path prefix."""

    def __init__(
        self,
        handler: Handler,
        websockets: Mapping[str, WebSocketHandler],
        *,
        wall_clock_s: Callable[[], float],
        request_id: Callable[[], str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`wall_clock_s` dates the answers; `request_id` names a failure that no handler foresaw."""
        self._handler = handler
        self._websockets = websockets
        self._wall_clock_s = wall_clock_s
        self._request_id = request_id
        self._tls = tls
        self._context: ServerContext | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the bound port, which tells what 0 chose. Raises `CannotListen`."""
        assert self._server is None, "already started"
        loop = asyncio.get_running_loop()
        context = ServerContext(self._handler, self._websockets, self._wall_clock_s, self._request_id)
        try:
            self._server = await loop.create_server(
                lambda: Connection(context), host, port, ssl=self._tls, backlog=_BACKLOG
            )
        except OSError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._context = context
        self._sweep()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self, grace_s: float = 10.0) -> None:
        """Accept no more, finish what is in work for at most `grace_s`, then cut what is left."""
        if self._server is None or self._context is None:
            return
        server, context = self._server, self._context
        self._server = None
        server.close()
        for connection in tuple(context.connections):
            connection.drain()
        try:
            await asyncio.wait_for(context.all_gone.wait(), grace_s)
        except TimeoutError:
            for connection in tuple(context.connections):
                connection.abort()
            await context.all_gone.wait()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _sweep(self) -> None:
        context = self._context
        assert context is not None
        context.now_s = context.loop.time()
        for connection in tuple(context.connections):
            connection.sweep()
        self._sweeper = context.loop.call_later(SWEEP_PERIOD_S, self._sweep)
