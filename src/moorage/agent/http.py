"""A small HTTP/1.1 client on the agent's own thread: one server, connections kept open.

On the launch path a report costs one write and one read, without a thread between. Responses are read whole: what
the API answers to an agent is short.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec

from moorage.base.errors import Unavailable

# Reports go out ten at a time and logs eight; a few more for registration and the like.
CONNECTIONS_MAX: Final = 24
CONNECT_TIMEOUT_S: Final = 30.0  # the published agent's dial timeout
RESPONSE_MAX_BYTES: Final = 4 * 1024 * 1024  # an error page of some proxy is no reason to run out of memory


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class _Broken(Unavailable):
    """The connection ended. `retry`: perhaps only because it had been idle for too long; nothing was answered."""

    def __init__(self, why: str, *, retry: bool) -> None:
        self.retry = retry
        super().__init__(why)


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._began = False
        self.used = False

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send, and wait for the whole answer."""
        assert self._transport is not None, "asked before connected"
        assert self._answer is None, "asked while being asked"
        self._answer = asyncio.get_running_loop().create_future()
        self._body, self._size, self._began = [], 0, False
        try:
            self._transport.write(request)
            return await self._answer
        finally:
            self._answer = None
            self.used = True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio and llhttp call these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the server closed the connection: {exc or 'end of stream'}")
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._began = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > RESPONSE_MAX_BYTES:
            self._fail(f"an answer of more than {RESPONSE_MAX_BYTES} bytes")
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # 100 Continue and its like: the answer itself is still to come
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, b"".join(self._body)))

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Broken(why, retry=self.used and not self._began))


class HttpClient:
    """Connections to one endpoint, such as `http://127.0.0.1:8780`."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        assert parts.scheme in ("http", "https"), f"an endpoint begins with http:// or https://, not {endpoint}"
        self.endpoint = endpoint.rstrip("/")
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)

    async def post(self, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """One exchange. Raises `Unavailable` where the server did not answer it in time."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"POST {path} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body
        async with self._slots:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(request)
            except TimeoutError as error:
                raise Unavailable(f"{self.endpoint} did not answer within {timeout_s:g} s") from error
            except OSError as error:
                raise Unavailable(f"{self.endpoint}: {error}") from error

    async def _exchange(self, request: bytes) -> Answer:
        while True:
            connection = await self._connection()
            try:
                answer = await connection.ask(request)
            except _Broken as broken:
                if broken.retry:
                    continue  # it had been idle too long for the server; each try uses up an idle connection
                raise
            except asyncio.CancelledError:
                connection.close()  # its answer would be taken for the next one's
                raise
            if connection.open:
                self._idle.append(connection)
            return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
