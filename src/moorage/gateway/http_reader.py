"""Bytes to requests. Parsing is llhttp's, in its strict mode: it refuses what could be read in two ways.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httptools
import msgspec

from moorage.gateway.http_body import IncomingBody
from moorage.gateway.http_head import CONTINUE
from moorage.gateway.http_limits import HEAD_MAX_BYTES, HEADERS_MAX
from moorage.wire.http import Request, Response, WebSocketHandler

_ONCE = frozenset({"host", "authorization", "content-type", "x-amz-target", "x-amz-date"})


class Malformed(Exception):
    """What arrived is no request; `status` and the sentence are the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Exchange(msgspec.Struct, eq=False):
    """A request in line, and what its answer must know."""

    request: Request
    body: IncomingBody
    keep_alive: bool
    http_1_0: bool = False
    upgrade: WebSocketHandler | None = None
    refusal: Response | None = None  # an answer that was fixed before any handler was asked


class RequestReader:
    """Fed with a connection's bytes; hands each request on as soon as its head is complete."""

    def __init__(
        self,
        transport: asyncio.Transport,
        websocket_handler: Callable[[str], WebSocketHandler | None],
        take: Callable[[Exchange], None],
    ) -> None:
        self.in_head = False
        self.receiving: Exchange | None = None  # whose body is arriving; whose websocket, once it is asked for
        self.body_bytes = 0  # of all bodies so far
        self._parser = httptools.HttpRequestParser(self)
        self._transport = transport
        self._websocket_handler = websocket_handler
        self._take = take
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[str, str] = {}

    def feed(self, data: bytes) -> bytes:
        """Raises `Malformed`; returns what follows a request for a websocket, which is for the websocket."""
        self._head_bytes += len(data) if self.in_head else 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self.receiving is not None and self.receiving.upgrade is not None:
                return rest
            return self.feed(rest) if rest else b""  # nobody here takes this upgrade: an ordinary request
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Malformed):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise Malformed(400, f"not HTTP/1.1: {error}") from None
        if self.in_head and self._head_bytes > HEAD_MAX_BYTES:
            raise Malformed(431, f"at most {HEAD_MAX_BYTES} bytes of head are read")
        return b""

    def refused(self, error: Malformed) -> Exchange:
        """The end of the conversation, to be answered in turn."""
        text = f"{error}\n".encode("latin-1", "replace")
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        response = Response(status=error.status, headers=headers, body=text)
        body = IncomingBody(None, None)
        request = Request(method="", path="", query="", headers={}, peer=self._peer, body=body)
        return Exchange(request, body, keep_alive=False, refusal=response)

    # llhttp's side

    def on_message_begin(self) -> None:
        self.in_head = True
        self._url = b""
        self._headers = {}
        self._head_bytes = 0

    def on_url(self, piece: bytes) -> None:
        self._url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            return  # a trailer: nobody here gives them a meaning
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip(" \t")
        self._head_bytes += len(name) + len(value)
        known = self._headers.get(key)
        if known is not None and key in _ONCE:
            raise Malformed(400, f"more than one {key} header")
        self._headers[key] = text if known is None else f"{known},{text}"
        if len(self._headers) > HEADERS_MAX or self._head_bytes > HEAD_MAX_BYTES:
            raise Malformed(431, f"at most {HEADERS_MAX} headers and {HEAD_MAX_BYTES} bytes of them are read")

    def on_headers_complete(self) -> None:
        self.in_head = False
        self.receiving = self._exchange()
        self._take(self.receiving)

    def on_body(self, piece: bytes) -> None:
        if self.receiving is None:
            return
        body = self.receiving.body
        body.feed(piece)
        self.body_bytes += len(piece)
        if body.full and body.on_room is None:
            body.on_room = self._transport.resume_reading
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.receiving is not None and self.receiving.upgrade is None:
            self.receiving.body.end()
            self.receiving = None

    def _exchange(self) -> Exchange:
        path, query = _target(self._url)
        headers = self._headers
        http_1_0 = self._parser.get_http_version() == "1.0"
        method: str = self._parser.get_method().decode()
        if "host" not in headers and not http_1_0:
            raise Malformed(400, "no host header")
        expects = headers.get("expect")
        if expects is not None and expects.lower() != "100-continue":
            raise Malformed(417, "only 100-continue can be expected")
        length = headers.get("content-length")
        invite = self._invite if expects is not None and not http_1_0 else None
        body = IncomingBody(int(length) if length else None, invite)
        request = Request(method=method, path=path, query=query, headers=headers, peer=self._peer, body=body)
        upgrade = None
        if self._parser.should_upgrade() and headers.get("upgrade", "").lower() == "websocket":
            upgrade = self._websocket_handler(path)
        keep_alive = self._parser.should_keep_alive() and method != "CONNECT"
        return Exchange(request, body, keep_alive, http_1_0, upgrade)

    def _invite(self) -> None:
        self._transport.write(CONTINUE)


def _target(url: bytes) -> tuple[str, str]:
    """Path and query of a request target, as sent; an absolute one, as proxies send it, without its origin."""
    if not url.isascii():
        raise Malformed(400, "the request target is not percent-encoded")
    target = url.decode()
    if not target.startswith("/") and "://" in target:
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query
