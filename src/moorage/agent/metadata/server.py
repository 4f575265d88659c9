"""The sockets on which containers (and the host, for introspection) ask: one request for each connection.

A container that has the host's network asks any of the host's nodes: its question is handed on to the others, once,
where it belongs to one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from moorage.agent.metadata.answer import TEXT, Answer, Query

log = logging.getLogger(__name__)

HEAD_MAX_BYTES: Final = 16 * 1024  # a path, a host and what SDKs say of themselves; Go's servers allow a mebibyte
BODY_MAX_BYTES: Final = 4 * 1024  # task protection sends two members
READ_S: Final = 5.0  # and as long for writing, as the published agent has it
ANSWER_S: Final = 45.0  # tags are asked of the control plane, whose round trip takes 42 s at worst
CONNECTIONS_MAX: Final = 256  # at once; the rate lets 60 through, the rest are slow or up to no good
FORWARDED: Final = "x-moorage-forwarded"
_ENDPOINT: Final = "169.254.170.2"

Respond = Callable[[Query], Awaitable[Answer]]

_TOO_MANY: Final = Answer(status=429, body=b"You have reached maximum request limit.\n", content_type=TEXT)
_BAD: Final = Answer(status=400, body=b"Bad Request\n", content_type=TEXT)


class _Unreadable(Exception):
    """What came is no request of ours."""


class MetadataServer:
    """Listens on any number of sockets and answers each request by `respond`."""

    def __init__(self, respond: Respond, allows: Callable[[], bool]) -> None:
        self._respond = respond
        self._allows = allows
        self._servers: dict[str, list[asyncio.Server]] = {}
        self._open = 0

    async def listen(self, listener: socket.socket, inside: str = "") -> None:
        """Answer on this socket from now on; `inside` is the sandbox that it is in. The socket is ours to close."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, inside)

        server = await asyncio.start_server(serve, sock=listener, limit=HEAD_MAX_BYTES)
        self._servers.setdefault(inside, []).append(server)

    def leave(self, inside: str) -> None:
        """Answer there no more."""
        for server in self._servers.pop(inside, ()):
            server.close()

    def close(self) -> None:
        for inside in list(self._servers):
            self.leave(inside)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inside: str) -> None:
        self._open += 1
        try:
            answer, method = await self._answered(reader, writer, inside)
            writer.write(_rendered(answer, with_body=method != "HEAD"))
            async with asyncio.timeout(READ_S):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.debug("a container gave up asking: %r", error)
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answered(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inside: str
    ) -> tuple[Answer, str]:
        try:
            async with asyncio.timeout(READ_S):
                source, _ = writer.get_extra_info("peername") or ("", 0)
                query = await _read(reader, source, inside)
        except _Unreadable:
            return _BAD, "GET"
        if self._open > CONNECTIONS_MAX or not self._allows():
            return _TOO_MANY, query.method
        async with asyncio.timeout(ANSWER_S):
            return await self._respond(query), query.method


async def _read(reader: asyncio.StreamReader, source: str, inside: str) -> Query:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError as error:
        raise _Unreadable from error
    line, *rest = head.split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Unreadable
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    size = headers.get("content-length", "0")
    if not size.isdecimal() or int(size) > BODY_MAX_BYTES:
        raise _Unreadable
    try:
        target = urlsplit(words[1])
    except ValueError as error:
        raise _Unreadable from error
    return Query(
        method=words[0],
        path=unquote(target.path),
        parameters=dict(parse_qsl(target.query)),
        source=source,
        inside=inside,
        body=await reader.readexactly(int(size)),
        forwarded=FORWARDED in headers,
    )


def _rendered(answer: Answer, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")


class Neighbours:
    """Hands a question on to the other nodes of the host, where this one does not know who asks."""

    def __init__(
        self, respond: Respond, knows: Callable[[Query], bool], ports: Callable[[], tuple[int, ...]]
    ) -> None:
        self._respond = respond
        self._knows = knows
        self._ports = ports

    async def answer(self, query: Query) -> Answer:
        """The first neighbour's answer that is not a 404; else our own."""
        if query.source == _ENDPOINT and not query.forwarded and not query.inside and not self._knows(query):
            for port in self._ports():
                answer = await _handed_on(query, port)
                if answer is not None and answer.status != HTTPStatus.NOT_FOUND:
                    return answer
        return await self._respond(query)


async def _handed_on(query: Query, port: int) -> Answer | None:
    """The answer of the node on that port; None where nobody answers there."""
    try:
        async with asyncio.timeout(READ_S):
            reader, writer = await asyncio.open_connection(_ENDPOINT, port)
            try:
                head = f"{query.method} {quote(query.path)} HTTP/1.1\r\nHost: {_ENDPOINT}\r\n{FORWARDED}: 1\r\n"
                writer.write(f"{head}Content-Length: {len(query.body)}\r\n\r\n".encode() + query.body)
                top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                return Answer(status=int(top[0].split(" ")[1]), body=await reader.read())
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError):
        return None
