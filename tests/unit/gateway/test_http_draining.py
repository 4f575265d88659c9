"""The server stops: what is in work is finished, what is idle is closed, what takes too long is cut."""

from __future__ import annotations

import asyncio

import pytest

from moorage.wire.http import Request, Response
from tests.unit.gateway.serving import run, serving

GET = "GET / HTTP/1.1\r\nHost: moor\r\n\r\n"


class Gate:
    """A handler that answers once it is let through."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.cancelled = False

    async def __call__(self, _request: Request) -> Response:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return Response(body=b"done")


def test_a_request_in_work_is_answered_and_its_connection_closed() -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(gate) as served, served.wire() as busy, served.wire() as idle:
            busy.send(GET)
            await gate.entered.wait()
            closing = asyncio.create_task(served.server.close())
            assert await idle.is_cut()
            assert not closing.done()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", served.port)
            gate.open.set()
            head = await busy.head()
            assert "Connection: close\r\n" in head
            assert await busy.rest() == b"done"
            await closing

    run(test)


def test_a_request_that_outlasts_the_grace_is_cut() -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(gate) as served, served.wire() as busy:
            busy.send(GET)
            await gate.entered.wait()
            await served.server.close(grace_s=0.01)
            assert await busy.is_cut()
            assert gate.cancelled

    run(test)


def test_closing_twice_is_harmless() -> None:
    async def test() -> None:
        async with serving() as served:
            await served.server.close()
            await served.server.close()

    run(test)
