"""The endpoint's sockets: one request each, bad ones refused, slow ones cut, questions of neighbours handed on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import pytest

from moorage.agent.metadata import server as served
from moorage.agent.metadata.answer import NOT_FOUND, Answer, Query, told
from moorage.agent.metadata.rate import BURST, STEADY_PER_S, Rate
from moorage.agent.metadata.server import MetadataServer, Neighbours

DEADLINE_S = 10.0


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await scene()

    asyncio.run(run())


async def echo(query: Query) -> Answer:
    return told([query.method, query.path, query.parameters, query.inside, query.body.decode()])


def listener() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.setblocking(False)
    return made


async def said(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of what is answered to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


async def asked(request: bytes, *, inside: str = "", allows: bool = True) -> tuple[int, bytes]:
    server = MetadataServer(echo, lambda: allows)
    opened = listener()
    await server.listen(opened, inside)
    try:
        return await said(opened.getsockname()[1], request)
    finally:
        server.close()


def test_a_request_is_read_whole_and_answered_in_json() -> None:
    async def scene() -> None:
        request = b"PUT /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        status, body = await asked(request, inside="box")
        assert (status, json.loads(body)) == (200, ["PUT", "/a b", {"c": "d"}, "box", "hi"])

    play(scene)


def test_head_has_no_body() -> None:
    async def scene() -> None:
        assert await asked(b"HEAD / HTTP/1.0\r\n\r\n") == (200, b"")

    play(scene)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
        b"GET /" + b"a" * served.HEAD_MAX_BYTES + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(request_: bytes) -> None:
    async def scene() -> None:
        assert (await asked(request_))[0] == 400

    play(scene)


def test_beyond_the_rate_it_says_so() -> None:
    async def scene() -> None:
        status, body = await asked(b"GET / HTTP/1.1\r\n\r\n", allows=False)
        assert (status, body) == (429, b"You have reached maximum request limit.\n")

    play(scene)


def test_a_socket_that_is_left_answers_no_more() -> None:
    async def scene() -> None:
        server = MetadataServer(echo, lambda: True)
        first, second = listener(), listener()
        await server.listen(first, "a")
        await server.listen(second, "b")
        port, other = first.getsockname()[1], second.getsockname()[1]
        server.leave("a")
        with pytest.raises(OSError, match=r"."):
            await said(port, b"GET / HTTP/1.1\r\n\r\n")
        assert (await said(other, b"GET / HTTP/1.1\r\n\r\n"))[0] == 200
        server.close()

    play(scene)


@pytest.mark.parametrize(
    ("query", "knows", "handed_on"),
    [
        (Query(method="GET", path="/v4/x", source="169.254.170.2"), False, True),
        (Query(method="GET", path="/v4/x", source="169.254.170.2"), True, False),
        (Query(method="GET", path="/v4/x", source="10.0.0.9"), False, False),
        (Query(method="GET", path="/v4/x", source="169.254.170.2", forwarded=True), False, False),
        (Query(method="GET", path="/v4/x", source="169.254.170.2", inside="box"), False, False),
    ],
)
def test_only_the_hosts_own_unknown_questions_are_handed_on(query: Query, knows: bool, handed_on: bool) -> None:
    looked: list[bool] = []

    def ports() -> tuple[int, ...]:
        looked.append(True)
        return ()

    async def unknown(_: Query) -> Answer:
        return NOT_FOUND

    async def scene() -> None:
        answer = await Neighbours(unknown, lambda _: knows, ports).answer(query)
        assert answer.status == 404
        assert bool(looked) == handed_on

    play(scene)


def test_the_rate_lets_a_burst_through_and_then_a_steady_flow() -> None:
    rate = Rate(0.0)
    assert sum(rate.allows(0.0) for _ in range(1000)) == BURST
    assert sum(rate.allows(1.0) for _ in range(1000)) == STEADY_PER_S
    assert sum(rate.allows(100.0) for _ in range(1000)) == BURST
