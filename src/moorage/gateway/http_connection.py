"""One client's connection: bytes to requests, requests to the handler one after the other, answers to bytes.

Requests that arrive ahead of their turn wait in line, so answers leave in the order of the requests. Parsing is
llhttp's (strict mode: it refuses what could be read in two ways). Everything that may take its time has a deadline,
looked at once a second by the server's `sweep`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, cast

import httptools
import msgspec

from moorage.gateway.http_body import IncomingBody
from moorage.gateway.http_context import ServerContext
from moorage.gateway.http_head import CONTINUE, head_of, is_bodiless, is_chunked
from moorage.gateway.http_limits import (
    BODY_WINDOW_MIN_BYTES,
    BODY_WINDOW_S,
    HEAD_MAX_BYTES,
    HEAD_TIMEOUT_S,
    HEADERS_MAX,
    IDLE_TIMEOUT_S,
    LINGER_S,
    PIPELINED_MAX,
    WRITE_STALL_S,
)
from moorage.gateway.websocket import ServerSocket, handshake
from moorage.wire.http import BodyTooLarge, Request, Response, WebSocketHandler

_LOG = logging.getLogger(__name__)
_NO_DEADLINE: Final = float("inf")


class _Malformed(Exception):
    """A head that llhttp accepts and this server does not."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Exchange(msgspec.Struct, eq=False):
    """A request in line, and what its answer must know."""

    request: Request
    body: IncomingBody
    keep_alive: bool
    http_1_0: bool = False
    upgrade: WebSocketHandler | None = None
    refusal: Response | None = None  # an answer that was fixed before any handler was asked


class Connection(asyncio.Protocol):
    """A connection from its first byte to its last."""

    def __init__(self, server: ServerContext) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer = ""
        self._line: deque[_Exchange] = deque()
        self._receiving: _Exchange | None = None
        self._worker: asyncio.Task[None] | None = None
        self._socket: ServerSocket | None = None
        self._before_socket = b""  # what the client sent before its websocket was accepted
        self._streaming = False
        self._deaf = False  # nothing more is parsed: the connection ends after the answers in line
        self._draining = False
        self._write_room: asyncio.Future[None] | None = None
        self._deadline = server.now_s + HEAD_TIMEOUT_S
        self._window_start = server.now_s
        self._window_bytes = 0
        self._stalled_since = _NO_DEADLINE
        self._unsent = 0
        self._in_head = False
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[str, str] = {}

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, and not their class.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        if not self._server.admit(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.data_received(data)
        elif self._receiving is not None and self._receiving.upgrade is not None:
            self._hold_for_socket(data)
        elif not self._deaf:
            self._parse(data)

    def eof_received(self) -> bool:
        """True keeps our half open, for the answers that are still due."""
        if self._socket is not None:
            self._socket.eof_received()
        if self._receiving is not None:
            self._receiving.body.lose()
        self._deaf = True
        return self._worker is not None and self._transport.can_write_eof()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._server.forget(self)
        if self._socket is not None:
            self._socket.connection_lost()
        for exchange in (*self._line, *([self._receiving] if self._receiving else ())):
            exchange.body.lose()
        self._line.clear()
        self.resume_writing()
        # A stream may wait for ever for its next piece; nobody will read it.
        if self._streaming and self._worker is not None:
            self._worker.cancel()

    def pause_writing(self) -> None:
        if self._socket is not None:
            self._socket.pause_writing()
        if self._write_room is None:
            self._write_room = self._server.loop.create_future()
            self._stalled_since = self._server.now_s
            self._unsent = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        if self._socket is not None:
            self._socket.resume_writing()
        room, self._write_room = self._write_room, None
        self._stalled_since = _NO_DEADLINE
        if room is not None and not room.done():
            room.set_result(None)

    # llhttp's side

    def on_message_begin(self) -> None:
        self._in_head = True
        self._url = b""
        self._headers = {}
        self._head_bytes = 0
        if self._worker is None:
            self._deadline = self._server.now_s + HEAD_TIMEOUT_S

    def on_url(self, piece: bytes) -> None:
        self._url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: AWS's protocols give them no meaning before their own chunk signatures
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        self._head_bytes += len(name) + len(value)
        known = self._headers.get(key)
        if known is not None and key in {"host", "authorization"}:
            raise _Malformed(400, f"more than one {key} header")
        self._headers[key] = text if known is None else f"{known},{text}"
        if len(self._headers) > HEADERS_MAX or self._head_bytes > HEAD_MAX_BYTES:
            raise _Malformed(431, f"at most {HEADERS_MAX} headers and {HEAD_MAX_BYTES} bytes of them are read")

    def on_headers_complete(self) -> None:
        self._in_head = False
        exchange = self._exchange()
        self._receiving = exchange
        self._deadline = _NO_DEADLINE
        self._window_start = self._server.now_s
        self._window_bytes = 0
        self._enqueue(exchange)

    def on_body(self, piece: bytes) -> None:
        exchange = self._receiving
        if exchange is None:
            return
        exchange.body.feed(piece)
        self._window_bytes += len(piece)
        if exchange.body.full and exchange.body.on_room is None:
            exchange.body.on_room = self._transport.resume_reading
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._receiving is not None and self._receiving.upgrade is None:
            self._receiving.body.end()
            self._receiving = None

    # reading

    def _parse(self, data: bytes) -> None:
        self._head_bytes += len(data) if self._in_head else 0
        try:
            self._parser.feed_data(data)
            if self._in_head and self._head_bytes > HEAD_MAX_BYTES:
                raise _Malformed(431, f"at most {HEAD_MAX_BYTES} bytes of head are read")
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Malformed):
                raise
            self._refuse(cause.status, str(cause))
        except httptools.HttpParserError as error:
            self._refuse(400, f"not HTTP/1.1: {error}")
        except _Malformed as error:
            self._refuse(error.status, str(error))
        if len(self._line) > PIPELINED_MAX:
            self._transport.pause_reading()

    def _upgraded(self, rest: bytes) -> None:
        if self._receiving is not None and self._receiving.upgrade is not None:
            self._hold_for_socket(rest)
        elif rest:
            self._parse(rest)  # an upgrade that nobody here takes: the request is an ordinary one

    def _hold_for_socket(self, data: bytes) -> None:
        self._before_socket += data
        if len(self._before_socket) > HEAD_MAX_BYTES:
            self._transport.pause_reading()

    def _exchange(self) -> _Exchange:
        url, headers = self._url, self._headers
        if not url.isascii():
            raise _Malformed(400, "the request target is not percent-encoded")
        target = url.decode()
        if not target.startswith("/") and "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]  # absolute form, as proxies send it
        path, _, query = target.partition("?")
        http_1_0 = self._parser.get_http_version() == "1.0"
        method: str = self._parser.get_method().decode()
        if "host" not in headers and not http_1_0:
            raise _Malformed(400, "no host header")
        expects = headers.get("expect")
        if expects is not None and expects.lower() != "100-continue":
            raise _Malformed(417, "only 100-continue can be expected")
        length = headers.get("content-length")
        invite = self._invite if expects is not None and not http_1_0 else None
        body = IncomingBody(int(length) if length else None, invite)
        request = Request(method=method, path=path, query=query, headers=headers, peer=self._peer, body=body)
        upgrade = None
        if self._parser.should_upgrade() and headers.get("upgrade", "").lower() == "websocket":
            upgrade = self._server.websocket_handler(path)
        keep_alive = self._parser.should_keep_alive() and method != "CONNECT"
        return _Exchange(request, body, keep_alive, http_1_0, upgrade)

    def _refuse(self, status: int, why: str) -> None:
        """Answer in turn, and read nothing more."""
        if self._receiving is not None:
            self._receiving.body.lose()
            self._receiving.keep_alive = False
        self._receiving = None
        self._deaf = True
        self._in_head = False
        text = f"{why}\n".encode("latin-1", "replace")
        response = Response(status=status, headers=[("Content-Type", "text/plain; charset=utf-8")], body=text)
        body = IncomingBody(None, None)
        request = Request(method="", path="", query="", headers={}, peer=self._peer, body=body)
        self._enqueue(_Exchange(request, body, keep_alive=False, refusal=response))

    def _enqueue(self, exchange: _Exchange) -> None:
        self._line.append(exchange)
        if self._worker is None:
            self._worker = self._server.loop.create_task(self._work())

    def _invite(self) -> None:
        self._transport.write(CONTINUE)

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
            self._deadline = self._server.now_s + IDLE_TIMEOUT_S
            if not reusable or self._draining or self._deaf:
                self._end()

    async def _answer_line(self) -> bool:
        """True where the line is empty and the connection may be used again."""
        while self._line:
            exchange = self._line.popleft()
            if len(self._line) == PIPELINED_MAX:
                self._transport.resume_reading()
            if exchange.upgrade is not None:
                await self._run_socket(exchange, exchange.upgrade)
                return False
            if not await self._answer(exchange, await self._response(exchange)):
                return False
        return True

    async def _response(self, exchange: _Exchange) -> Response:
        if exchange.refusal is not None:
            return exchange.refusal
        try:
            return await self._server.handler(exchange.request)
        except BodyTooLarge as error:
            return Response(status=413, headers=[("Content-Type", "text/plain")], body=f"{error}\n".encode())
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # the edge: whatever a handler raises is answered, not spread
            return self._server.failure(exchange.request, error)

    async def _answer(self, exchange: _Exchange, response: Response) -> bool:
        """Send it; True where the connection may be used again."""
        method = exchange.request.method
        chunked = is_chunked(method, exchange.http_1_0, response)
        keep_alive = exchange.keep_alive and exchange.body.ended and not self._draining and not exchange.http_1_0
        try:
            head = head_of(response, chunked=chunked, keep_alive=keep_alive, date=self._server.date())
        except ValueError as error:
            return await self._answer(exchange, self._server.failure(exchange.request, error))
        if isinstance(response.body, bytes):
            bodiless = is_bodiless(method, response.status)
            self._transport.write(head if bodiless else head + response.body)
        else:
            self._transport.write(head)
            await self._stream(response.body, chunked=chunked, skip=is_bodiless(method, response.status))
        if self._write_room is not None:
            await self._write_room
        return keep_alive

    async def _stream(self, pieces: AsyncIterator[bytes], *, chunked: bool, skip: bool) -> None:
        self._streaming = True
        try:
            if not skip:
                async for piece in pieces:
                    await self._send_piece(piece, chunked)
                if chunked:
                    self._transport.write(b"0\r\n\r\n")
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001  # the edge; the head is gone, so only a broken connection tells the client
            _LOG.exception("a streamed answer broke off")
            raise ConnectionAbortedError("the answer broke off") from None
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

    async def _run_socket(self, exchange: _Exchange, handler: WebSocketHandler) -> None:
        """Ask the handler; then either refuse, or speak websocket until one side closes."""
        try:
            outcome = await handler(exchange.request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # the edge, as in _response
            outcome = self._server.failure(exchange.request, error)
        opened = outcome if isinstance(outcome, Response) else handshake(exchange.request)
        if isinstance(opened, Response):
            await self._answer(exchange, opened)
            return
        assert not isinstance(outcome, Response)
        self._socket = ServerSocket(opened, self._transport, self._server.now_s)
        self._transport.resume_reading()
        held, self._before_socket = self._before_socket, b""
        self._socket.data_received(held)
        await self._socket.run(outcome)

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
        now_s = self._server.now_s
        if self._socket is not None:
            self._socket.sweep(now_s)
        if (self._worker is None and now_s > self._deadline) or self._body_starves(now_s) or self._stalls(now_s):
            self._transport.abort()

    def _body_starves(self, now_s: float) -> bool:
        exchange = self._receiving
        if exchange is None or not exchange.body.awaited:
            self._window_start, self._window_bytes = now_s, 0
            return False
        if now_s - self._window_start < BODY_WINDOW_S:
            return False
        starves = self._window_bytes < BODY_WINDOW_MIN_BYTES
        self._window_start, self._window_bytes = now_s, 0
        return starves

    def _stalls(self, now_s: float) -> bool:
        if self._write_room is None:
            return False
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._stalled_since = now_s
        self._unsent = unsent
        return now_s - self._stalled_since > WRITE_STALL_S

    def _end(self) -> None:
        """Close so that the last answer arrives: data that nobody read would turn the close into a reset."""
        self._deaf = True
        if self._receiving is None or self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._deadline = self._server.now_s + LINGER_S
        self._transport.write_eof()
        self._transport.resume_reading()
