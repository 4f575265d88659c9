"""The agent's HTTP client."""

from __future__ import annotations

import asyncio

import pytest

from moorage.agent.http import RESPONSE_MAX_BYTES, Answer, HttpClient
from moorage.base.errors import Unavailable

from .server import ScriptedApi, listening, run

HEADERS = {"host": "x", "x-amz-target": "A.Op"}


async def post(client: HttpClient, timeout_s: float = 5.0) -> Answer:
    return await client.post("/", HEADERS, b"{}", timeout_s)


def test_a_connection_is_used_again() -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as api:
            client = api.client()
            for _ in range(3):
                assert (await post(client)).status == 200
            assert api.connections == 1

    run(work())


def test_calls_at_the_same_time_have_connections_of_their_own() -> None:
    async def work() -> None:
        async with listening(ScriptedApi(answer=lambda *_: (200, {"n": 1}))) as api:
            client = api.client()
            answers = await asyncio.gather(*(post(client) for _ in range(5)))
            assert [answer.body for answer in answers] == [b'{"n": 1}'] * 5
            assert api.connections == 5

    run(work())


def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    async def work() -> None:
        async with listening(ScriptedApi(hang_up_after=1)) as api:
            client = api.client()
            for _ in range(3):
                assert (await post(client)).status == 200
            assert api.connections == 3

    run(work())


def test_nobody_listening_is_unavailable() -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as api:
            url = api.url
        with pytest.raises(Unavailable, match="Errno 111"):
            await post(HttpClient(url))

    run(work())


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(data)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "closed the connection"),
        (b"SSH-2.0-hello\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"x" * (RESPONSE_MAX_BYTES + 1), "more than"),
    ],
)
def test_an_answer_that_is_none_is_unavailable(data: bytes, why: str) -> None:
    async def work() -> None:
        server = await asyncio.start_server(lambda r, w: _garbage(r, w, data), "127.0.0.1", 0)
        client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(Unavailable, match=why):
            await post(client)
        server.close()

    run(work())


def test_a_server_that_does_not_answer_is_given_up_and_its_connection_is_not_used_again() -> None:
    async def work() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
            writer.close()
            await writer.wait_closed()
            gone.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(Unavailable, match="did not answer"):
            await post(client, 0.05)
        assert asked.is_set()
        assert client._idle == []
        await gone.wait()
        server.close()

    run(work())
