"""A server on loopback that answers as it is told; what it was asked is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from moorage.agent.http import HttpClient

Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass
class Asked:
    """One API call: its target's operation, its body, and the number of its connection."""

    operation: str
    body: dict[str, Any]
    connection: int
    headers: dict[str, str]


@dataclass
class ScriptedApi:
    """`answer` gives status and body by operation and request."""

    answer: Answer = lambda *_: (200, {})
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    hang_up_after: int | None = None  # answers on one connection before it is closed, without a word
    url: str = ""
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _clients: list[HttpClient] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until the test is over."""
        task = asyncio.get_running_loop().create_task(self.serve(reader, writer))
        self._serving.add(task)

    def client(self) -> HttpClient:
        """A client that ends with the server."""
        self._clients.append(HttpClient(self.url))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            client.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        number, answered = self.connections, 0
        try:
            while answered != self.hang_up_after:
                try:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                except asyncio.IncompleteReadError:
                    return
                lines = head.split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                operation = headers["x-amz-target"].rpartition(".")[2]
                self.asked.append(Asked(operation, body, number, headers))
                status, answer = self.answer(operation, body)
                data = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
                answered += 1
        finally:
            writer.transport.abort()


@asynccontextmanager
async def listening(api: ScriptedApi) -> AsyncIterator[ScriptedApi]:
    """The API, reachable at `api.url`."""
    server = await asyncio.start_server(api.accept, "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        await api.close()


async def until(look: Callable[[], bool], patience_s: float = 10.0) -> None:
    """Return as soon as `look` is true."""
    async with asyncio.timeout(patience_s):
        while not look():
            await asyncio.sleep(0.002)


def run(work: Awaitable[None]) -> None:
    """A test that is a coroutine."""

    async def main() -> None:
        try:
            await work
        finally:
            for _ in range(3):  # transports that were closed are let go in the loop's next rounds
                await asyncio.sleep(0)

    asyncio.run(main())
