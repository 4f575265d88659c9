"""A real server on a real socket for one test, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import uvloop

from moorage.gateway.http import HttpServer
from moorage.wire.http import Handler, Request, Response, WebSocketHandler

T = TypeVar("T")
DEADLINE_S = 20.0  # of real time; nothing in these tests takes a tenth of it


class TurnedClock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.steady = 1000.0

    def read(self) -> float:
        return self.steady


def noon() -> float:
    """A wall clock, for the Date header."""
    return 1_769_860_800.0


class Wire:
    """A client that sees the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)

    async def head(self) -> str:
        """One head, up to its empty line."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of an answer with a length."""
        head = await self.head()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        return int(head.split()[1]), await self.reader.readexactly(int(fields.get("Content-Length", "0")))

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    async def is_cut(self) -> bool:
        """Waits for the end; True where it is a reset or an end without another byte."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


async def echo(request: Request) -> Response:
    """Answers method, target and body."""
    body = await request.body.read(1024 * 1024)
    target = f"{request.path}?{request.query}" if request.query else request.path
    return Response(body=f"{request.method} {target} ".encode() + body)


class Served:
    """A started server."""

    def __init__(self, server: HttpServer, clock: TurnedClock, port: int) -> None:
        self.server = server
        self.clock = clock
        self.port = port

    @asynccontextmanager
    async def wire(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, limit=2**22)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    websockets: Mapping[str, WebSocketHandler] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Served]:
    """A server for the length of a block."""
    clock = TurnedClock()
    server = HttpServer(
        handler,
        websockets or {},
        wall_clock_s=noon,
        request_id=lambda: "the-id",
        tls=tls,
        steady_clock_s=clock.read,
    )
    port = await server.start("127.0.0.1", 0)
    try:
        yield Served(server, clock, port)
    finally:
        await server.close(grace_s=0)


def run(test: Callable[[], Coroutine[None, None, T]]) -> T:
    """Run to the end under uvloop, as production does, within the deadline."""

    async def within() -> T:
        return await asyncio.wait_for(test(), DEADLINE_S)

    return uvloop.run(within())
