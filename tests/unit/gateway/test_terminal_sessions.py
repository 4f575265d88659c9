"""ECS Exec at the gateway: who may open a session, what is carried, how it ends. Sockets are pairs of queues."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine

from moorage.base.ids import Scope
from moorage.gateway.terminal_relay import IDLE_S, NODE_WITHIN_S
from moorage.gateway.terminals import TerminalGateway
from moorage.link import terminal
from moorage.link.refusal import Refusal
from moorage.model.exec_session import TOKEN_VALID_S, ExecSession
from moorage.store import Store
from moorage.store.journal import MemoryJournal
from moorage.wire.data_channel import Frame, PayloadType, decode
from moorage.wire.data_stream import PIECE_MAX_BYTES, WINDOW, DataStream
from moorage.wire.http import Request, Response
from tests.unit.gateway.test_agent_sockets import NoBody
from tests.unit.records import CLUSTER, INSTANCE, SCOPE, a_task
from tests.unit.support import ACCOUNT, NOW_S, REGION, SeededDice

DEADLINE_S = 10.0
TOKEN = "t" * 64
SESSION = "ecs-execute-command-1"


class Clock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.now = NOW_S

    def now_s(self) -> float:
        return self.now

    def steady_s(self) -> float:
        return self.now


class Socket:
    """A websocket whose other end a test plays."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.said: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None
        self.stuck = asyncio.Event()
        self.stuck.set()

    async def receive(self) -> str | None:
        message = await self.said.get()
        assert not isinstance(message, bytes)
        return message

    async def receive_any(self) -> str | bytes | None:
        return await self.said.get()

    async def send(self, text: str) -> None:
        self.sent.put_nowait(text)

    async def send_bytes(self, data: bytes) -> None:
        await self.stuck.wait()
        self.sent.put_nowait(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = (code, reason)

    async def next(self) -> str | bytes:
        return await asyncio.wait_for(self.sent.get(), DEADLINE_S)


class World:
    """A gateway, one session that nobody has opened, its caller and its node."""

    def __init__(self, signer: Scope | Refusal = SCOPE) -> None:
        self.clock = Clock()
        self.store = Store(MemoryJournal())
        self.gateway = TerminalGateway(self.store, self.clock, SeededDice(), lambda _request: signer)
        self.caller, self.node = Socket(), Socket()
        numbers = SeededDice(7)
        self.stream = DataStream("input_stream_data", lambda: f"{numbers.bits(128):032x}")
        session = ExecSession(
            id=SESSION,
            account=ACCOUNT,
            region=REGION,
            cluster=CLUSTER,
            task=a_task().arn,
            container="app",
            instance=INSTANCE,
            command=("sh",),
            token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
            created_at=NOW_S,
        )
        with self.store.update() as tx:
            tx.exec_sessions.put(session)

    async def open(self, token: str = TOKEN, **more: object) -> asyncio.Task[None]:
        """The caller connects and says its token."""
        self.caller.said.put_nowait(json.dumps({"TokenValue": token, "MessageSchemaVersion": "1.0", **more}))
        taken = await self.gateway.caller(a_request(f"/v1/data-channel/{SESSION}", ""))
        assert not isinstance(taken, Response)
        return asyncio.create_task(_run(taken(self.caller)))

    async def attach(self, instance: str = INSTANCE) -> Response | asyncio.Task[None]:
        """The node connects."""
        query = f"sessionId={SESSION}&containerInstanceArn={instance}"
        taken = await self.gateway.node(a_request("/exec/ws", query))
        return taken if isinstance(taken, Response) else asyncio.create_task(_run(taken(self.node)))

    def say(self, payload_type: PayloadType, payload: bytes) -> None:
        self.stream.send(payload_type, payload, 0.0, 0)
        for message in self.stream.take():
            self.caller.said.put_nowait(message)

    async def hear(self) -> Frame:
        """The next that is said to the caller and is no acknowledgement; it is acknowledged."""
        while True:
            message = await self.caller.next()
            assert isinstance(message, bytes)
            frame = self.stream.receive(message, 0)
            for answer in self.stream.take():
                self.caller.said.put_nowait(answer)
            if frame is not None:
                return frame

    async def begin(self, **more: object) -> asyncio.Task[None]:
        """Up to the command's start, on a terminal of 100 by 30."""
        session = await self.open(**more)
        assert (await self.hear()).payload_type == PayloadType.HANDSHAKE_REQUEST
        self.say(PayloadType.HANDSHAKE_RESPONSE, b"{}")
        assert isinstance(await self.attach(), asyncio.Task)
        assert (await self.hear()).payload_type == PayloadType.HANDSHAKE_COMPLETE
        self.say(PayloadType.SIZE, b'{"cols":100,"rows":30}')
        assert _told(await self.node.next()) == terminal.StartTerminal(cols=100, rows=30)
        return session

    async def closed(self) -> str:
        """What the server says at the end."""
        while (frame := await self.hear()).kind != "channel_closed":
            pass
        said = json.loads(frame.payload)
        assert said["SessionId"] == SESSION
        output: str = said["Output"]
        return output


async def _run(conversation: Coroutine[None, None, None]) -> None:
    await asyncio.wait_for(conversation, DEADLINE_S)


def a_request(path: str, query: str) -> Request:
    return Request(method="GET", path=path, query=query, headers={}, peer="127.0.0.1", body=NoBody())


def _told(message: str | bytes) -> terminal.Message | None:
    assert isinstance(message, str)
    return terminal.decode(message)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 2 * DEADLINE_S))


def test_a_session_carries_bytes_both_ways_and_ends_with_the_command() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin()
        assert [one.opened_at for one in world.store.view().exec_sessions] == [NOW_S]
        world.say(PayloadType.OUTPUT, b"ls\n\xff")
        assert await world.node.next() == b"ls\n\xff"
        world.say(PayloadType.SIZE, b'{"cols":7,"rows":8}')
        assert _told(await world.node.next()) == terminal.ResizeTerminal(cols=7, rows=8)
        world.node.said.put_nowait(b"\x00" * 5000)
        pieces = [(await world.hear()).payload for _ in range(2)]
        assert b"".join(pieces) == b"\x00" * 5000
        world.node.said.put_nowait(terminal.encode(terminal.TerminalEnded(exit_code=3, reason="")))
        frame = await world.hear()  # and no exit code before it: this client would show it
        assert frame.kind == "channel_closed"
        await session
        assert not list(world.store.view().exec_sessions)

    run(test)


def test_the_exit_code_is_for_clients_that_ask_for_it() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin(MoorageWantsExitCode=True)
        world.node.said.put_nowait(terminal.encode(terminal.TerminalEnded(exit_code=42, reason="why")))
        frame = await world.hear()
        assert (frame.payload_type, frame.payload) == (PayloadType.EXIT_CODE, b"42")
        assert await world.closed() == "why"
        await session

    run(test)


def test_a_token_opens_once_in_its_time_and_no_other_does() -> None:
    async def test() -> None:
        for token, after_s in (("x" * 64, 0.0), (TOKEN, TOKEN_VALID_S + 1)):
            world = World()
            world.clock.now += after_s
            await (await world.open(token))
            assert world.caller.closed == (1008, "the token is wrong, used or too old")
        world = World()
        first = await world.open()
        await world.hear()
        first_caller, world.caller = world.caller, Socket()
        await (await world.open())
        assert world.caller.closed is not None
        first_caller.said.put_nowait(None)
        await first

    run(test)


def test_a_first_message_that_is_no_token_is_refused() -> None:
    async def test() -> None:
        world = World()
        world.caller.said.put_nowait("hello")
        taken = await world.gateway.caller(a_request(f"/v1/data-channel/{SESSION}", ""))
        assert not isinstance(taken, Response)
        await taken(world.caller)
        assert world.caller.closed == (1008, "the first message must carry the token")

    run(test)


def test_only_the_sessions_own_node_is_let_in_and_only_once() -> None:
    async def test() -> None:
        world = World()
        assert isinstance(await world.attach(), Response)  # nobody has opened it
        session = await world.begin()
        assert isinstance(await world.attach(), Response)
        other = World(Scope(ACCOUNT, REGION)._replace(account="999999999999"))  # type: ignore[arg-type]  # a NewType
        await other.open()
        await other.hear()
        assert isinstance(await other.attach(), Response)
        third = World()
        await third.open()
        await third.hear()
        assert isinstance(await third.attach(f"{INSTANCE}x"), Response)
        for one in (world, other, third):
            one.caller.said.put_nowait(None)
        await session

    run(test)


def test_a_node_that_does_not_come_is_told_of() -> None:
    async def test() -> None:
        world = World()
        session = await world.open()
        await world.hear()
        world.say(PayloadType.HANDSHAKE_RESPONSE, b"{}")
        world.clock.now += NODE_WITHIN_S
        assert await world.closed() == "The agent of the task's node did not answer. Try again later."
        await session

    run(test)


def test_a_node_that_leaves_ends_the_session() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin()
        world.node.said.put_nowait(None)
        assert await world.closed() == "The agent of the task's node is gone."
        await session

    run(test)


def test_an_idle_session_ends() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin()
        world.clock.now += IDLE_S
        assert await world.closed() == "The session was idle for 20 minutes."
        await session

    run(test)


def test_a_caller_that_says_nonsense_is_told_so() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin()
        world.caller.said.put_nowait(b"nonsense")
        assert (await world.closed()).startswith("The client sent what cannot be read")
        await session

    run(test)


def test_a_program_that_reads_nothing_does_not_stop_its_own_output() -> None:
    async def test() -> None:
        world = World()
        session = await world.begin()
        world.node.stuck.clear()
        for _ in range(40):
            world.say(PayloadType.OUTPUT, bytes(4096))
        flood = 2 * WINDOW * PIECE_MAX_BYTES
        world.node.said.put_nowait(bytes(flood))
        while flood:
            flood -= len((await world.hear()).payload)
        assert not world.stream.settled  # what there is no room for waits at the caller
        world.node.stuck.set()
        taken, later_s = 0, 100.0
        while taken < 40 * 4096:
            later_s += 100.0
            world.stream.resend(later_s)
            for message in world.stream.take():
                world.caller.said.put_nowait(message)
            try:
                message = await asyncio.wait_for(world.node.sent.get(), 0.05)
                taken += len(message)
            except TimeoutError:
                while not world.caller.sent.empty():
                    answer = world.caller.sent.get_nowait()
                    assert isinstance(answer, bytes)
                    assert decode(answer).kind == "acknowledge"
                    world.stream.receive(answer, 0)
        assert taken == 40 * 4096
        world.caller.said.put_nowait(None)
        await session

    run(test)


def test_a_new_server_forgets_what_was_open_and_keeps_what_was_not() -> None:
    async def test() -> None:
        world = World()
        world.gateway.forget_open()
        assert len(list(world.store.view().exec_sessions)) == 1
        session = await world.open()
        await world.hear()
        world.gateway.forget_open()
        assert not list(world.store.view().exec_sessions)
        world.caller.said.put_nowait(None)
        await session

    run(test)
