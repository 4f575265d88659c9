"""Moorage's HTTP/1.1 server: llhttp for parsing, asyncio (uvloop where the program chose it) for sockets.

Here is the edge: whatever a handler raises is logged under a request id and answered with 500, and ends no other
request.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Final, TypeVar

import msgspec

from moorage.base.errors import Unavailable
from moorage.gateway.http_connection import Connection
from moorage.gateway.http_host import Connected
from moorage.gateway.http_limits import CONNECTIONS_MAX, SWEEP_PERIOD_S
from moorage.wire.http import BodyTooLarge, Handler, Request, Response, WebSocketHandler

__all__ = ["CannotListen", "HttpServer"]

_LOG = logging.getLogger(__name__)
# Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
_BACKLOG: Final = 4096

T = TypeVar("T")


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
        steady_clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """The wall clock dates answers, the steady one counts deadlines; `request_id` names an unforeseen failure."""
        self._host = _Host(handler, websockets, (wall_clock_s, steady_clock_s), request_id)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the bound port, which tells what 0 chose. Raises `CannotListen`."""
        assert self._server is None, "already started"
        shared = self._host
        shared.loop = asyncio.get_running_loop()
        try:
            self._server = await shared.loop.create_server(
                lambda: Connection(shared), host, port, ssl=self._tls, backlog=_BACKLOG
            )
        except OSError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._tick()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self, grace_s: float = 10.0) -> None:
        """Accept no more, finish what is in work for at most `grace_s`, then cut what is left."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        connections = self._host.connections
        for connection in tuple(connections):
            connection.drain()
        try:
            await asyncio.wait_for(self._host.all_gone.wait(), grace_s)
        except TimeoutError:
            for connection in tuple(connections):
                connection.abort()
            await self._host.all_gone.wait()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _tick(self) -> None:
        self._host.sweep()
        self._sweeper = self._host.loop.call_later(SWEEP_PERIOD_S, self._tick)


class _Host:
    """What the connections share. Implements `http_host.Host`."""

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        handler: Handler,
        websockets: Mapping[str, WebSocketHandler],
        clocks: tuple[Callable[[], float], Callable[[], float]],
        request_id: Callable[[], str],
    ) -> None:
        self._wall_clock_s, self._steady_clock_s = clocks
        self.now_s = self._steady_clock_s()
        self.connections: set[Connected] = set()
        self.all_gone = asyncio.Event()
        self.all_gone.set()
        self._handler = handler
        # The longest prefix first: `/v1/ws` wins over `/v1`.
        self._websockets = sorted(websockets.items(), key=lambda item: -len(item[0]))
        self._request_id = request_id
        self._date = ""
        self._date_s = -1.0

    def sweep(self) -> None:
        """Read the clock, and let every connection look at its deadlines."""
        self.now_s = self._steady_clock_s()
        for connection in tuple(self.connections):
            connection.sweep()

    def admit(self, connection: Connected) -> bool:
        if len(self.connections) >= CONNECTIONS_MAX:
            return False
        self.connections.add(connection)
        self.all_gone.clear()
        return True

    def forget(self, connection: Connected) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self.all_gone.set()

    def websocket_handler(self, path: str) -> WebSocketHandler | None:
        return next((handler for prefix, handler in self._websockets if path.startswith(prefix)), None)

    def date(self) -> str:
        if self._date_s != self.now_s:
            self._date_s = self.now_s
            self._date = formatdate(self._wall_clock_s(), usegmt=True)
        return self._date

    async def respond(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except BodyTooLarge as error:
            return Response(status=413, headers=[("Content-Type", "text/plain")], body=f"{error}\n".encode())
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # the edge: a failure is answered, and ends nothing else
            return self.failure(request, error)

    async def contain(self, work: Awaitable[T], request: Request) -> T | Response:
        try:
            return await work
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # the edge, as above
            return self.failure(request, error)

    def failure(self, request: Request, error: Exception) -> Response:
        request_id = self._request_id()
        _LOG.error("request %s failed: %s %s", request_id, request.method, request.path, exc_info=error)
        headers = [
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", "InternalFailure"),
            ("Content-Type", "application/x-amz-json-1.1"),
        ]
        body = {"__type": "InternalFailure", "message": f"An internal failure. Request id: {request_id}"}
        return Response(status=500, headers=headers, body=msgspec.json.encode(body))
