"""What all connections of one HTTP server share: handlers, the hour, and who is connected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Protocol

import msgspec

from moorage.gateway.http_limits import CONNECTIONS_MAX
from moorage.wire.http import Handler, Request, Response, WebSocketHandler

_LOG = logging.getLogger(__name__)


class Connected(Protocol):
    """A connection as the server sees it."""

    def drain(self) -> None: ...

    def abort(self) -> None: ...

    def sweep(self) -> None: ...


class ServerContext:
    """Shared by the connections of one server. `now_s` is a steady clock, set at every sweep."""

    def __init__(
        self,
        handler: Handler,
        websockets: Mapping[str, WebSocketHandler],
        wall_clock_s: Callable[[], float],
        request_id: Callable[[], str],
    ) -> None:
        self.handler = handler
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time()
        self.connections: set[Connected] = set()
        self.all_gone = asyncio.Event()
        self.all_gone.set()
        # The longest prefix first: `/v1/ws` wins over `/v1`.
        self._websockets = sorted(websockets.items(), key=lambda item: -len(item[0]))
        self._wall_clock_s = wall_clock_s
        self._request_id = request_id
        self._date = ""
        self._date_s = -1.0

    def admit(self, connection: Connected) -> bool:
        """False where the server is full."""
        if len(self.connections) >= CONNECTIONS_MAX:
            return False
        self.connections.add(connection)
        self.all_gone.clear()
        return True

    def forget(self, connection: Connected) -> None:
        """The connection is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self.all_gone.set()

    def websocket_handler(self, path: str) -> WebSocketHandler | None:
        """Who answers a websocket at this path."""
        return next((handler for prefix, handler in self._websockets if path.startswith(prefix)), None)

    def date(self) -> str:
        """The Date header, as of the last sweep."""
        if self._date_s != self.now_s:
            self._date_s = self.now_s
            self._date = formatdate(self._wall_clock_s(), usegmt=True)
        return self._date

    def failure(self, request: Request, error: Exception) -> Response:
        """500 for what nobody foresaw; the log has the traceback under the same request id."""
        request_id = self._request_id()
        _LOG.error("request %s failed: %s %s", request_id, request.method, request.path, exc_info=error)
        headers = [
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", "InternalFailure"),
            ("Content-Type", "application/x-amz-json-1.1"),
        ]
        body = {"__type": "InternalFailure", "message": f"An internal failure. Request id: {request_id}"}
        return Response(status=500, headers=headers, body=msgspec.json.encode(body))
