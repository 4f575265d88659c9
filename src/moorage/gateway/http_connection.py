"""One client's connection: requests to the handler one after the other, answers back to bytes.

Requests that arrive ahead of their turn wait in line, so answers leave in the order of the requests. Everything that
may take its time has a deadline, looked at once a second by the server's `sweep`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, cast

from moorage.gateway.http_body import IncomingBody
from moorage.gateway.http_head import head_of, is_bodiless, is_chunked
from moorage.gateway.http_host import Host
from moorage.gateway.http_limits import (
    BODY_WINDOW_MIN_BYTES,
    BODY_WINDOW_S,
    HEAD_MAX_BYTES,
    HEAD_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    LINGER_S,
    PIPELINED_MAX,
    WRITE_STALL_S,
)
from moorage.gateway.http_reader import Exchange, Malformed, RequestReader
from moorage.gateway.websocket import ServerSocket, handshake
from moorage.wire.http import Response, WebSocketHandler

_NEVER: Final = float("inf")


class Connection(asyncio.Protocol):
    """A connection from its first byte to its last."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.Transport
        self._reader: RequestReader
        self._line: deque[Exchange] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._socket: ServerSocket | None = None
        self._before_socket = b""  # what the client sent before its websocket was accepted
        self._streaming = False
        self._deaf = False  # nothing more is read: the connection ends after the answers in line
        self._draining = False
        self._write_room: asyncio.Future[None] | None = None
        self._deadline = host.now_s + HEAD_TIMEOUT_S  # while no request is in work
        self._window_start_s = host.now_s
        self._window_bytes = 0
        self._stalled_since_s = _NEVER
        self._unsent_bytes = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, and not their class.
        self._transport = cast(asyncio.Transport, transport)
        self._reader = RequestReader(self._transport, self._host.websocket_handler, self._enqueue)
        if not self._host.admit(self):
            transport.abort()  # type: ignore[attr-defined]  # see above

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.data_received(data)
        elif self._deaf:
            return
        elif self._reader.receiving is not None and self._reader.receiving.upgrade is not None:
            self._hold_for_socket(data)
        else:
            self._read(data)

    def eof_received(self) -> bool:
        """True keeps our half open, for the answers that are still due.

        A client that has left looks the same as one that has merely said all; only a stream, which may be endless,
        takes it for having left.
        """
        if self._socket is not None:
            self._socket.eof_received()
        self._deaf = True
        for body in self._bodies():
            body.lose()
        return self._worker is not None and not self._streaming and self._transport.can_write_eof()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._host.forget(self)
        if self._socket is not None:
            self._socket.connection_lost()
        for body in self._bodies():
            body.lose()
        self._line.clear()
        self.resume_writing()
        # A stream may wait for ever for its next piece; nobody will read it.
        if self._streaming and self._worker is not None:
            self._worker.cancel()

    def pause_writing(self) -> None:
        if self._socket is not None:
            self._socket.pause_writing()
        if self._write_room is None:
            self._write_room = self._host.loop.create_future()
            self._stalled_since_s = self._host.now_s
            self._unsent_bytes = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        if self._socket is not None:
            self._socket.resume_writing()
        room, self._write_room = self._write_room, None
        self._stalled_since_s = _NEVER
        if room is not None and not room.done():
            room.set_result(None)

    # reading

    def _read(self, data: bytes) -> None:
        was_in_head = self._reader.in_head
        try:
            for_socket = self._reader.feed(data)
        except Malformed as error:
            self._refuse(error)
            return
        if for_socket:
            self._hold_for_socket(for_socket)
        if self._reader.in_head and not was_in_head:
            self._deadline = self._host.now_s + HEAD_TIMEOUT_S
        if len(self._line) > PIPELINED_MAX:
            self._transport.pause_reading()

    def _refuse(self, error: Malformed) -> None:
        """Answer in turn, and read nothing more."""
        self._deaf = True
        for body in self._bodies():
            body.lose()
        self._enqueue(self._reader.refused(error))

    def _hold_for_socket(self, data: bytes) -> None:
        self._before_socket += data
        if len(self._before_socket) > HEAD_MAX_BYTES:
            self._transport.pause_reading()

    def _enqueue(self, exchange: Exchange) -> None:
        self._line.append(exchange)
        self._window_start_s, self._window_bytes = self._host.now_s, self._reader.body_bytes
        if self._worker is None:
            self._worker = self._host.loop.create_task(self._work())

    def _bodies(self) -> list[IncomingBody]:
        """Those that may still be waited for."""
        return [self._reader.receiving.body] if self._reader.receiving is not None else []

    # answering

    async def _work(self) -> None:
        """Answer what is in line; ends when the line is empty, and is started anew by the next request."""
        reusable = False
        try:
            reusable = await self._answer_line()
        except ConnectionError:
            pass  # the client left; there is nobody to tell
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        finally:
            self._worker = None
            self._deadline = self._host.now_s + IDLE_TIMEOUT_S
            if not reusable or self._draining or self._deaf:
                self._end()

    async def _answer_line(self) -> bool:
        """True where the line is empty and the connection may be used again."""
        while self._line:
            exchange = self._line.popleft()
            if len(self._line) == PIPELINED_MAX:
                self._transport.resume_reading()
            if exchange.upgrade is not None:
                await self._converse(exchange, exchange.upgrade)
                return False
            try:
                response = exchange.refusal or await self._host.respond(exchange.request)
            except ConnectionError:
                if not self._line:
                    raise
                continue  # the body broke off because what follows is malformed: that is the answer
            if not await self._answer(exchange, response):
                return False
        return True

    async def _answer(self, exchange: Exchange, response: Response) -> bool:
        """Send it; True where the connection may be used again."""
        bodiless = is_bodiless(exchange.request.method, response.status)
        chunked = is_chunked(exchange.request.method, exchange.http_1_0, response)
        keep_alive = exchange.keep_alive and exchange.body.ended and not self._draining and not exchange.http_1_0
        try:
            head = head_of(response, chunked=chunked, keep_alive=keep_alive, date=self._host.date())
        except ValueError as error:
            response = self._host.failure(exchange.request, error)
            head = head_of(response, chunked=False, keep_alive=keep_alive, date=self._host.date())
        body = response.body
        if isinstance(body, bytes):
            self._transport.write(head if bodiless else head + body)
        else:
            self._transport.write(head)
            broken = await self._host.contain(self._stream(body, chunked, bodiless), exchange.request)
            if broken is not None:
                self._transport.abort()  # the head is gone and says nothing of this: only a reset tells the client
                return False
        if self._write_room is not None:
            await self._write_room
        return keep_alive

    async def _stream(self, pieces: AsyncIterator[bytes], chunked: bool, bodiless: bool) -> None:
        self._streaming = True
        try:
            if not bodiless:
                async for piece in pieces:
                    await self._send_piece(piece, chunked)
                if chunked:
                    self._transport.write(b"0\r\n\r\n")
        finally:
            self._streaming = False
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    async def _send_piece(self, piece: bytes, chunked: bool) -> None:
        if not piece:
            return  # an empty chunk would end the body
        if self._transport.is_closing():
            raise ConnectionResetError("the client left")
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if self._write_room is not None:
            await self._write_room

    async def _converse(self, exchange: Exchange, handler: WebSocketHandler) -> None:
        """Ask the handler; then either refuse, or speak websocket until one side closes."""
        outcome = await self._host.contain(handler(exchange.request), exchange.request)
        opened = outcome if isinstance(outcome, Response) else handshake(exchange.request)
        if isinstance(outcome, Response) or isinstance(opened, Response):
            assert isinstance(opened, Response)
            await self._answer(exchange, opened)
            return
        self._socket = ServerSocket(opened, self._transport, self._host.now_s)
        self._transport.resume_reading()
        held, self._before_socket = self._before_socket, b""
        self._socket.data_received(held)
        failed = await self._host.contain(self._socket.run(outcome), exchange.request)
        await self._socket.finish(failed=failed is not None)

    # ending

    def drain(self) -> None:
        """Finish what is in line, then close; an idle connection closes now."""
        self._draining = True
        if self._socket is not None:
            self._socket.go_away()
        elif self._worker is None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is in work."""
        if self._worker is not None:
            self._worker.cancel()
        self._transport.abort()

    def sweep(self) -> None:
        """Cut the connection where a deadline has passed."""
        now_s = self._host.now_s
        if self._socket is not None:
            self._socket.sweep(now_s)
        late = self._worker is None and now_s > self._deadline
        if late or self._body_starves(now_s) or self._stalls(now_s):
            self._transport.abort()

    def _body_starves(self, now_s: float) -> bool:
        if not any(body.awaited for body in self._bodies()):
            self._window_start_s, self._window_bytes = now_s, self._reader.body_bytes
            return False
        if now_s - self._window_start_s < BODY_WINDOW_S:
            return False
        received = self._reader.body_bytes - self._window_bytes
        self._window_start_s, self._window_bytes = now_s, self._reader.body_bytes
        return received < BODY_WINDOW_MIN_BYTES

    def _stalls(self, now_s: float) -> bool:
        if self._write_room is None:
            return False
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes < self._unsent_bytes:
            self._stalled_since_s = now_s
        self._unsent_bytes = unsent_bytes
        return now_s - self._stalled_since_s > WRITE_STALL_S

    def _end(self) -> None:
        """Close so that the last answer arrives: data that nobody read would turn the close into a reset."""
        self._deaf = True
        if self._transport.is_closing():
            return
        if not self._bodies() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._deadline = self._host.now_s + LINGER_S
        self._transport.write_eof()
        self._transport.resume_reading()
