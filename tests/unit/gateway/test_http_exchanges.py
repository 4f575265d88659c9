"""Requests in, answers out: framing, order, bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage.wire.http import Request, Response
from tests.unit.gateway.serving import run, serving

GET = "GET {} HTTP/1.1\r\nHost: moor\r\n\r\n"


def test_a_request_is_handed_over_as_it_arrived() -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> Response:
        seen.append(request)
        return Response()

    async def test() -> None:
        async with serving(keep) as served, served.wire() as wire:
            wire.send(
                "GET /a%2Fb//c?x=%20&x=+ HTTP/1.1\r\n"
                "Host: moor:1\r\nX-Two: a\r\nX-TWO:  b \r\nX-Empty:\r\nX-L: \xe9\r\n\r\n"
            )
            assert await wire.answer() == (200, b"")

    run(test)
    request = seen[0]
    assert (request.method, request.path, request.query) == ("GET", "/a%2Fb//c", "x=%20&x=+")
    latin = "é".encode().decode("latin-1")
    assert request.headers == {"host": "moor:1", "x-two": "a,b", "x-empty": "", "x-l": latin}
    assert request.peer == "127.0.0.1"


def test_a_connection_is_kept_and_the_answer_is_dated() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send(GET.format("/1"))
            assert await wire.head() == (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n\r\n"
            )
            assert await wire.reader.readexactly(7) == b"GET /1 "
            wire.send(GET.format("/2"))
            assert await wire.answer() == (200, b"GET /2 ")

    run(test)


def test_pipelined_requests_are_answered_in_order_however_long_each_takes() -> None:
    async def slow_first(request: Request) -> Response:
        for _ in range(50 if request.path == "/0" else 0):
            await asyncio.sleep(0)
        return Response(body=request.path.encode())

    async def test() -> None:
        async with serving(slow_first) as served, served.wire() as wire:
            wire.send("".join(GET.format(f"/{number}") for number in range(200)))
            for number in range(200):
                assert await wire.answer() == (200, f"/{number}".encode())

    run(test)


def test_a_body_may_come_in_chunks_and_in_pieces() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send("POST / HTTP/1.1\r\nHost: moor\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in ("3\r", "\nabc\r\n2;ext=1\r\nde", "\r\n0\r\nTrailer: x\r\n", "\r\n"):
                wire.send(piece)
                await wire.writer.drain()
                await asyncio.sleep(0)
            assert await wire.answer() == (200, b"POST / abcde")
            wire.send("PUT / HTTP/1.1\r\nHost: moor\r\nContent-Length: 2\r\n\r\nok")
            assert await wire.answer() == (200, b"PUT / ok")

    run(test)


def test_a_client_that_expects_it_is_invited_when_the_body_is_read() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send("PUT / HTTP/1.1\r\nHost: moor\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert await wire.head() == "HTTP/1.1 100 Continue\r\n\r\n"
            wire.send("ok")
            assert await wire.answer() == (200, b"PUT / ok")

    run(test)


def test_a_client_whose_body_nobody_reads_is_not_invited() -> None:
    async def refuse(_request: Request) -> Response:
        return Response(status=403, body=b"no")

    async def test() -> None:
        async with serving(refuse) as served, served.wire() as wire:
            wire.send("PUT / HTTP/1.1\r\nHost: moor\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            head = await wire.head()
            assert head.startswith("HTTP/1.1 403 Forbidden\r\n")
            assert "Connection: close\r\n" in head
            assert await wire.rest() == b"no"

    run(test)


def test_an_answer_reaches_a_client_that_is_still_sending() -> None:
    async def refuse(_request: Request) -> Response:
        return Response(status=403, body=b"no")

    async def test() -> None:
        async with serving(refuse) as served, served.wire() as wire:
            wire.send("PUT / HTTP/1.1\r\nHost: moor\r\nContent-Length: 3000000\r\n\r\n" + "x" * 2_000_000)
            assert (await wire.rest()).endswith(b"\r\n\r\nno")

    run(test)


@pytest.mark.parametrize("framing", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_a_body_longer_than_its_reader_allows_is_answered_413(framing: str) -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send(f"PUT / HTTP/1.1\r\nHost: moor\r\n{framing}\r\n\r\n1E8480\r\n")
            wire.send(b"x" * 1_900_000)
            status, _ = await wire.answer()
            assert status == 413

    run(test)


def test_a_head_request_gets_the_head_alone() -> None:
    async def sized(_request: Request) -> Response:
        return Response(length=12345, headers=[("ETag", '"x"')])

    async def test() -> None:
        async with serving(sized) as served, served.wire() as wire:
            wire.send("HEAD / HTTP/1.1\r\nHost: moor\r\n\r\n" * 2)
            for _ in range(2):
                head = await wire.head()
                assert "Content-Length: 12345\r\n" in head
                assert 'ETag: "x"\r\n' in head

    run(test)


async def three_pieces() -> AsyncIterator[bytes]:
    for piece in (b"one ", b"", b"two ", b"three"):
        yield piece


def test_a_stream_of_unknown_length_is_chunked() -> None:
    async def stream(_request: Request) -> Response:
        return Response(body=three_pieces())

    async def test() -> None:
        async with serving(stream) as served, served.wire() as wire:
            wire.send(GET.format("/") * 2)
            for _ in range(2):
                assert "Transfer-Encoding: chunked" in await wire.head()
                assert (
                    await wire.reader.readuntil(b"0\r\n\r\n") == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
                )

    run(test)


def test_a_stream_of_known_length_is_not_chunked() -> None:
    async def stream(_request: Request) -> Response:
        return Response(body=three_pieces(), length=13)

    async def test() -> None:
        async with serving(stream) as served, served.wire() as wire:
            wire.send(GET.format("/"))
            assert await wire.answer() == (200, b"one two three")

    run(test)


def test_an_old_client_gets_an_unchunked_stream_that_ends_with_the_connection() -> None:
    async def stream(_request: Request) -> Response:
        return Response(body=three_pieces())

    async def test() -> None:
        async with serving(stream) as served, served.wire() as wire:
            wire.send("GET / HTTP/1.0\r\n\r\n")
            head = await wire.head()
            assert "chunked" not in head
            assert "Connection: close" in head
            assert await wire.rest() == b"one two three"

    run(test)


def test_a_client_that_closes_its_half_still_gets_the_answer() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send(GET.format("/last"))
            wire.writer.write_eof()
            assert (await wire.rest()).endswith(b"GET /last ")

    run(test)


def test_an_upgrade_that_nobody_takes_is_an_ordinary_request() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
            wire.send(f"GET /h2 HTTP/1.1\r\nHost: moor\r\n{upgrade}\r\n" + GET.format("/next"))
            assert await wire.answer() == (200, b"GET /h2 ")
            assert await wire.answer() == (200, b"GET /next ")

    run(test)
