"""Websockets, with the `websockets` library's client on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from moorage.gateway.http_limits import CLOSE_TIMEOUT_S, FRAME_MAX_BYTES, PING_PERIOD_S, SILENCE_MAX_S
from moorage.wire.http import Request, Response, WebSocket
from tests.unit.gateway.serving import run, serving

Conversation = Callable[[WebSocket], Awaitable[None]]


async def echo(_request: Request) -> Conversation:
    async def talk(socket: WebSocket) -> None:
        while (text := await socket.receive()) is not None:
            await socket.send(text)

    return talk


HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: moor\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_messages_come_back_whole_and_in_order() -> None:
    async def test() -> None:
        async with serving(websockets={"/ws": echo}) as served:
            async with connect(f"ws://127.0.0.1:{served.port}/ws?a=b") as client:
                texts = ["", "ünï ☃", "x" * (FRAME_MAX_BYTES - 1), *map(str, range(100))]
                for text in texts:
                    await client.send(text)
                assert [await client.recv() for _ in texts] == texts
                await client.send(["in ", "three ", "pieces"])
                assert await client.recv() == "in three pieces"
                await (await client.ping())
            assert (client.close_code, client.close_reason) == (1000, "")

    run(test)


def test_the_handler_sees_the_request_and_may_refuse() -> None:
    async def refuse(request: Request) -> Response:
        assert (request.path, request.query) == ("/ws/x", "agentHash=1")
        return Response(status=403, body=b"not you")

    async def test() -> None:
        async with serving(websockets={"/ws": refuse}) as served:
            with pytest.raises(InvalidStatus) as raised:
                await connect(f"ws://127.0.0.1:{served.port}/ws/x?agentHash=1")
            assert raised.value.response.status_code == 403
            assert raised.value.response.body == b"not you"

    run(test)


def test_the_longest_prefix_answers_and_other_paths_are_ordinary_requests() -> None:
    async def named(name: str, socket: WebSocket) -> None:
        await socket.send(name)

    async def outer(_request: Request) -> Conversation:
        return lambda socket: named("outer", socket)

    async def inner(_request: Request) -> Conversation:
        return lambda socket: named("inner", socket)

    async def test() -> None:
        async with serving(websockets={"/": outer, "/ws": inner}) as served:
            for path, name in (("/ws/1", "inner"), ("/other", "outer")):
                async with connect(f"ws://127.0.0.1:{served.port}{path}") as client:
                    assert await client.recv() == name
                    with pytest.raises(ConnectionClosedOK):
                        await client.recv()
        async with serving(websockets={"/ws": inner}) as served:
            with pytest.raises(InvalidStatus) as raised:
                await connect(f"ws://127.0.0.1:{served.port}/other")
            assert raised.value.response.status_code == 200

    run(test)


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"binary", 1003), ("x" * (FRAME_MAX_BYTES + 1), 1009)],
    ids=["binary", "too large"],
)
def test_a_message_that_is_not_taken_closes_with_its_code(message: str | bytes, code: int) -> None:
    async def test() -> int | None:
        async with serving(websockets={"/ws": echo}) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
            await client.send(message)
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            return client.close_code

    assert run(test) == code


def test_text_that_is_not_utf_8_closes_with_1007() -> None:
    async def test() -> bytes:
        async with serving(websockets={"/ws": echo}) as served, served.wire() as wire:
            wire.send(HANDSHAKE.encode() + b"\x81\x81\0\0\0\0\xff")  # sent before the handshake was answered
            assert (await wire.head()).startswith("HTTP/1.1 101 ")
            return await wire.reader.readexactly(4)

    assert run(test)[2:] == (1007).to_bytes(2, "big")


def test_an_unmasked_frame_closes_with_1002() -> None:
    async def test() -> bytes:
        async with serving(websockets={"/ws": echo}) as served, served.wire() as wire:
            wire.send(HANDSHAKE)
            await wire.head()
            wire.send(b"\x81\x01a")
            return await wire.reader.readexactly(4)

    assert run(test)[2:] == (1002).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("Version: 13", "Version: 12", 400), ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400), ("GET", "POST", 400)],
)
def test_a_wrong_handshake_is_refused(old: str, new: str, status: int) -> None:
    async def test() -> str:
        async with serving(websockets={"/ws": echo}) as served, served.wire() as wire:
            wire.send(HANDSHAKE.replace(old, new))
            return await wire.head()

    assert run(test).startswith(f"HTTP/1.1 {status} ")


def test_a_conversation_that_fails_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(_request: Request) -> Conversation:
        async def talk(socket: WebSocket) -> None:
            raise KeyError(await socket.receive())

        return talk

    async def test() -> int | None:
        async with (
            serving(websockets={"/ws": failing}) as served,
            connect(f"ws://127.0.0.1:{served.port}/ws") as client,
        ):
            await client.send("the reason")
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            return client.close_code

    assert run(test) == 1011
    assert "the reason" in caplog.text


def test_the_handler_closes_with_its_own_code() -> None:
    async def closing(_request: Request) -> Conversation:
        async def talk(socket: WebSocket) -> None:
            await socket.close(4000, "age")
            with pytest.raises(ConnectionError):
                await socket.send("too late")
            assert await socket.receive() is None

        return talk

    async def test() -> tuple[int | None, str | None]:
        async with (
            serving(websockets={"/ws": closing}) as served,
            connect(f"ws://127.0.0.1:{served.port}/ws") as client,
        ):
            with pytest.raises(ConnectionClosed):
                await client.recv()
            return client.close_code, client.close_reason

    assert run(test) == (4000, "age")


def test_a_client_that_has_left_ends_the_conversation() -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def listening(_request: Request) -> Conversation:
            async def talk(socket: WebSocket) -> None:
                assert await socket.receive() is None
                ended.set()

            return talk

        async with serving(websockets={"/ws": listening}) as served:
            async with served.wire() as wire:
                wire.send(HANDSHAKE)
                await wire.head()
            await ended.wait()

    run(test)


def test_a_fast_sender_waits_for_a_slow_reader() -> None:
    async def test() -> None:
        start = asyncio.Event()
        read = asyncio.Event()

        async def slow(_request: Request) -> Conversation:
            async def talk(socket: WebSocket) -> None:
                await start.wait()
                for _ in range(200):
                    assert len(await socket.receive() or "") == 100_000
                read.set()

            return talk

        async with serving(websockets={"/ws": slow}) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
            sending = asyncio.create_task(send_many(client.send))
            done, _ = await asyncio.wait([sending], timeout=0.2)
            assert not done  # 20 MB are more than all buffers on the way hold
            start.set()
            await asyncio.gather(sending, read.wait())

    run(test)


async def send_many(send: Callable[[str], Awaitable[None]]) -> None:
    for _ in range(200):
        await send("x" * 100_000)


def test_a_quiet_peer_is_pinged_and_a_dead_one_cut() -> None:
    async def test() -> None:
        async with serving(websockets={"/ws": echo}) as served, served.wire() as wire:
            wire.send(HANDSHAKE)
            await wire.head()
            served.clock.steady += PING_PERIOD_S
            assert await wire.reader.readexactly(2) == b"\x89\x00"
            wire.send(b"\x8a\x80\0\0\0\0")  # a pong
            served.clock.steady += SILENCE_MAX_S - 1
            assert await wire.reader.readexactly(2) == b"\x89\x00"
            served.clock.steady += SILENCE_MAX_S + 1
            close = await wire.reader.readexactly(4)
            assert close[2:] == (1011).to_bytes(2, "big")
            served.clock.steady += CLOSE_TIMEOUT_S + 1
            await wire.is_cut()

    run(test)


def test_a_stopping_server_says_that_it_goes_away() -> None:
    async def test() -> int | None:
        async with serving(websockets={"/ws": echo}) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
            await client.send("hello")
            await client.recv()
            await served.server.close()
            return client.close_code

    assert run(test) == 1001


def test_binary_messages_come_back_to_whoever_takes_both() -> None:
    async def echo_any(_request: Request) -> Conversation:
        async def talk(socket: WebSocket) -> None:
            while (message := await socket.receive_any()) is not None:
                await (socket.send(message) if isinstance(message, str) else socket.send_bytes(message))

        return talk

    async def test() -> None:
        async with (
            serving(websockets={"/ws": echo_any}) as served,
            connect(f"ws://127.0.0.1:{served.port}/ws") as client,
        ):
            messages = [b"", "text", bytes(range(256)), b"\xff" * (FRAME_MAX_BYTES - 1), "again"]
            for message in messages:
                await client.send(message)
            assert [await client.recv() for _ in messages] == messages
            await client.send([b"\xff", b"\x00", b"\xfe"])
            assert await client.recv() == b"\xff\x00\xfe"

    run(test)


def test_the_last_words_are_heard_even_in_one_packet_with_the_close() -> None:
    heard: list[str] = []

    async def listen(_request: Request) -> Conversation:
        async def talk(socket: WebSocket) -> None:
            while (text := await socket.receive()) is not None:
                heard.append(text)

        return talk

    async def test() -> None:
        async with serving(websockets={"/ws": listen}) as served, served.wire() as wire:
            wire.send(HANDSHAKE)
            await wire.head()
            masked_text = b"\x81\x83\x00\x00\x00\x00bye"
            masked_close = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
            wire.send(masked_text + masked_close)
            assert await wire.rest() == b"\x88\x02\x03\xe8"
            assert heard == ["bye"]

    run(test)
