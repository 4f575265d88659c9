"""What is malformed, too large or too slow ends its own connection, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from moorage.gateway.http import CannotListen, HttpServer
from moorage.gateway.http_limits import BODY_WINDOW_S, HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, WRITE_STALL_S
from moorage.wire.http import Request, Response
from tests.unit.gateway.serving import echo, noon, run, serving

GET = "GET / HTTP/1.1\r\nHost: moor\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n", 417),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(200)) + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 70_000 + "\r\n\r\n", 431),
        ("GET /" + "x" * 200_000, 431),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 200_000, 431),
    ],
)
def test_what_is_no_request_is_answered_and_the_connection_closed(sent: str, status: int) -> None:
    async def test() -> bytes:
        async with serving() as served, served.wire() as wire:
            wire.send(sent.encode("latin-1"))
            return await wire.rest()

    answer = run(test)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_before_a_malformed_one_are_answered_first() -> None:
    async def test() -> bytes:
        async with serving() as served, served.wire() as wire:
            wire.send(GET + GET + "nonsense\r\n\r\n" + GET)
            return await wire.rest()

    assert re.findall(rb"HTTP/1.1 (\d+)", run(test)) == [b"200", b"200", b"400"]


def test_a_chunk_that_is_malformed_is_answered_400() -> None:
    async def test() -> bytes:
        async with serving() as served, served.wire() as wire:
            wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
            return await wire.rest()

    assert run(test).startswith(b"HTTP/1.1 400 ")


def test_a_failing_handler_is_answered_500_with_the_id_that_the_log_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_request: Request) -> Response:
        raise KeyError("nobody foresaw this")

    async def test() -> tuple[int, bytes]:
        async with serving(fail) as served, served.wire() as wire:
            wire.send(GET)
            first = await wire.answer()
            wire.send(GET)
            assert await wire.answer() == first
            return first

    status, body = run(test)
    assert status == 500
    assert b'"__type":"InternalFailure"' in body
    assert b"the-id" in body
    assert b"foresaw" not in body
    assert "request the-id failed: GET /" in caplog.text
    assert "nobody foresaw this" in caplog.text


def test_a_header_that_would_break_the_framing_is_our_failure() -> None:
    async def split(_request: Request) -> Response:
        return Response(headers=[("X-Name", "a\r\nSet-Cookie: b")])

    async def test() -> int:
        async with serving(split) as served, served.wire() as wire:
            wire.send(GET)
            return (await wire.answer())[0]

    assert run(test) == 500


def test_a_stream_that_fails_breaks_the_connection_rather_than_end_well() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the other half is lost")

    async def stream(_request: Request) -> Response:
        return Response(body=broken())

    async def test() -> bytes:
        async with serving(stream) as served, served.wire() as wire:
            wire.send(GET)
            await wire.head()
            try:
                return await wire.rest()
            except ConnectionError:
                return b""

    assert not run(test).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "after_s"),
    [
        ("", HEAD_TIMEOUT_S),
        ("GET / HTT", HEAD_TIMEOUT_S),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", BODY_WINDOW_S),
    ],
    ids=["silent", "half a head", "half a body"],
)
def test_a_client_that_keeps_us_waiting_is_cut(sent: str, after_s: float) -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send(sent)
            async with served.wire() as other:
                other.send(GET)
                assert (await other.answer())[0] == 200  # so the first one's bytes have arrived too
                served.clock.steady += after_s + 1
                assert await wire.is_cut()

    run(test)


def test_an_idle_connection_is_closed_after_its_time_and_not_before() -> None:
    async def test() -> None:
        async with serving() as served, served.wire() as wire:
            wire.send(GET)
            await wire.answer()
            served.clock.steady += IDLE_TIMEOUT_S - 1
            wire.send(GET)
            assert (await wire.answer())[0] == 200
            served.clock.steady += IDLE_TIMEOUT_S + 2
            assert await wire.is_cut()

    run(test)


def test_a_client_that_takes_nothing_of_its_answer_is_cut() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    async def stream(_request: Request) -> Response:
        return Response(body=endless())

    async def test() -> None:
        async with serving(stream) as served, served.wire() as wire:
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
            wire.send(GET)
            while not ended.is_set():
                served.clock.steady += WRITE_STALL_S / 2 + 1
                await asyncio.wait([asyncio.create_task(ended.wait())], timeout=1)

    run(test)


def test_a_stream_whose_client_has_left_is_ended() -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def silent() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def stream(_request: Request) -> Response:
            return Response(body=silent())

        async with serving(stream) as served:
            async with served.wire() as wire:
                wire.send(GET)
                await wire.head()
            await ended.wait()

    run(test)


def test_a_reader_whose_client_has_left_is_told() -> None:
    async def test() -> None:
        told = asyncio.Event()

        async def read(request: Request) -> Response:
            try:
                await request.body.read(100)
            except ConnectionError:
                told.set()
                raise
            return Response()

        async with serving(read) as served:
            async with served.wire() as wire:
                wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            await told.wait()

    run(test)


def test_a_taken_port_is_told_with_its_number() -> None:
    async def test() -> None:
        async with serving() as served:
            other = HttpServer(echo, {}, wall_clock_s=noon, request_id=str)
            with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{served.port}: .*in use"):
                await other.start("127.0.0.1", served.port)

    run(test)
