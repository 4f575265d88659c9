"""Websockets: the frames are the `websockets` library's sans-I/O protocol, the socket is the HTTP connection's.

Who asks for text gets text only, as the agents' protocols have it: a binary message then closes with 1003.
Keepalive pings go out by the server's sweep; a peer that is silent for a minute is taken for lost.

Source: https://www.rfc-editor.org/rfc/rfc6455
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from moorage.gateway.http_limits import (
    CLOSE_TIMEOUT_S,
    FRAME_MAX_BYTES,
    MESSAGES_AHEAD_MAX,
    PING_PERIOD_S,
    SILENCE_MAX_S,
)
from moorage.wire.http import Request, Response, WebSocket

__all__ = ["ServerSocket", "handshake"]

_LOG = logging.getLogger(__name__)
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


def handshake(request: Request) -> ServerProtocol | Response:
    """An open protocol that has its 101 answer ready to be sent, or the answer that refuses."""
    protocol = ServerProtocol(max_size=FRAME_MAX_BYTES, logger=_LOG)
    # Only what the handshake reads: the library has limits for headers that it need not apply to ours.
    wanted = ("host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version")
    head = "".join(f"{name}: {request.headers[name]}\r\n" for name in wanted if name in request.headers)
    protocol.receive_data(f"GET / HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
    offered = protocol.events_received()
    if request.method != "GET" or not offered or not isinstance(offered[0], HandshakeRequest):
        return Response(status=400, body=b"not a websocket handshake\n")
    response = protocol.accept(offered[0])
    if response.status_code != 101:
        return Response(status=response.status_code, headers=_headers(response.headers), body=bytes(response.body))
    protocol.send_response(response)
    return protocol


def _headers(headers: Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.raw_items() if name.lower() != "content-length"]


class ServerSocket:
    """An open websocket. Implements `wire.http.WebSocket` above, and is fed by the connection below."""

    def __init__(self, protocol: ServerProtocol, transport: asyncio.Transport, now_s: float) -> None:
        self._protocol = protocol
        self._transport = transport
        self._messages: deque[str | bytes] = deque()
        self._parts: list[bytes] = []
        self._binary = False  # what the parts are of
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._gone = False
        self._heard = True
        self._heard_s = now_s
        self._pinged_s = now_s
        self._closing_s: float | None = None
        self._flush()

    # above

    async def run(self, conversation: Callable[[WebSocket], Awaitable[None]]) -> None:
        """The conversation to its end; that the peer leaves in the middle of it is one."""
        try:
            await conversation(self)
        except ConnectionError:
            _LOG.debug("the peer left in the middle of a conversation")

    async def finish(self, *, failed: bool) -> None:
        """The closing handshake, and the wait for the connection to end."""
        await self.close(CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE)
        while not self._gone:
            await self._wait()

    async def receive(self) -> str | None:
        """The next message, which must be text; None once the peer has closed or is lost."""
        message = await self.receive_any()
        if isinstance(message, bytes):
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "text messages only")
            self._flush()
            return None
        return message

    async def receive_any(self) -> str | bytes | None:
        """The next message, text or binary; None once the peer has closed or is lost."""
        while not self._messages:
            if self._gone or self._protocol.state is not State.OPEN:
                return None
            await self._wait()
        message = self._messages.popleft()
        if len(self._messages) < MESSAGES_AHEAD_MAX and not self._gone:
            self._transport.resume_reading()
        return message

    async def send(self, text: str) -> None:
        """Send a message, waiting while the peer is slow; raises `ConnectionError` where it has left."""
        self._refuse_closed()
        self._protocol.send_text(text.encode())
        await self._sent()

    async def send_bytes(self, data: bytes) -> None:
        """As `send`, for a binary message."""
        self._refuse_closed()
        self._protocol.send_binary(data)
        await self._sent()

    def _refuse_closed(self) -> None:
        if self._gone or self._protocol.state is not State.OPEN:
            raise ConnectionResetError("the websocket is closed")

    async def _sent(self) -> None:
        self._flush()
        if self._room is not None:
            await asyncio.shield(self._room)  # others may wait for the same room

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake; again is harmless."""
        if self._gone or self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code, reason)
        self._flush()

    # below

    def data_received(self, data: bytes) -> None:
        self._heard = True
        # As it was before: what came in one packet with the peer's close came before it.
        hears = self._protocol.state is State.OPEN
        if data:
            self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)  # the handshake is over
            if event.opcode in _DATA and hears:
                hears = self._take(event)
        self._flush()
        if len(self._messages) >= MESSAGES_AHEAD_MAX and not self._gone:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()
        self._wake()

    def connection_lost(self) -> None:
        self._gone = True
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def go_away(self) -> None:
        """The server stops."""
        if not self._gone and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY, "the server stops")
            self._flush()
            self._wake()

    def sweep(self, now_s: float) -> None:
        """Ping, and give up a silent peer."""
        if self._heard:
            self._heard = False
            self._heard_s = now_s
        if self._protocol.state is not State.OPEN:
            self._closing_s = now_s if self._closing_s is None else self._closing_s
            if now_s - self._closing_s > CLOSE_TIMEOUT_S:
                self._transport.abort()
        elif now_s - self._heard_s > SILENCE_MAX_S:
            self._protocol.fail(CloseCode.INTERNAL_ERROR, "no answer to pings")
            self._flush()
            self._wake()
        elif now_s - self._pinged_s >= PING_PERIOD_S:
            self._pinged_s = now_s
            self._protocol.send_ping(b"")
            self._flush()

    def _take(self, frame: Frame) -> bool:
        """A data frame; the library has checked order and size. False: there is nothing more to hear."""
        if frame.opcode is not Opcode.CONT:
            self._binary = frame.opcode is Opcode.BINARY
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return True
        parts, self._parts = self._parts, []
        whole = b"".join(parts)
        try:
            self._messages.append(whole if self._binary else whole.decode())
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "not UTF-8")
            return False
        return True

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()  # the library's sign that all is said

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
