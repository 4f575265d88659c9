"""The agents' websockets: a handshake, a conversation, an end. The socket is a pair of queues; the loop is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec.structs import replace

from moorage.base.ids import Region, Scope
from moorage.control.sessions import Sessions
from moorage.gateway.agents import AgentGateway, Conversation
from moorage.link import acs
from moorage.link.refusal import Refusal, parse
from moorage.rules.lifecycle import request_stop
from moorage.store import Store
from moorage.store.journal import Batch, MemoryJournal
from moorage.wire.http import Request, Response
from tests.unit.records import INSTANCE, SCOPE, a_cluster, a_definition, a_task, an_instance
from tests.unit.support import NOW_S, SeededDice

DEADLINE_S = 5.0
QUERY = f"clusterArn=default&containerInstanceArn={INSTANCE}&agentVersion=1.9&dockerVersion=DockerVersion%3A+24.0.7"


class FixedClock:
    """It is always the same second."""

    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0


class NoBody:
    """A handshake has none."""

    async def read(self, limit_bytes: int) -> bytes:
        return b""[:limit_bytes]

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""


class Socket:
    """A websocket with an agent at the other end that a test plays."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.said: asyncio.Queue[str | None] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> str | None:
        return await self.said.get()

    async def send(self, text: str) -> None:
        self.sent.put_nowait(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = (code, reason)
        self.said.put_nowait(None)

    async def next_text(self) -> str:
        return await asyncio.wait_for(self.sent.get(), DEADLINE_S)

    async def next_message(self) -> acs.Message:
        message = acs.decode(await self.next_text())
        assert message is not None
        return message


class HeldJournal(MemoryJournal):
    """A journal whose disk confirms nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Batch] | None = None

    def append(self, batch: Batch) -> None:
        if self.held is None:
            super().append(batch)
        else:
            self.held.append(batch)

    def release(self) -> None:
        held, self.held = self.held or [], None
        for batch in held:
            super().append(batch)


class World:
    """A gateway over an installation with one instance and one task."""

    def __init__(self, signer: Scope | Refusal = SCOPE) -> None:
        self.journal = HeldJournal()
        self.store = Store(self.journal)
        self.sessions = Sessions(SeededDice(), NOW_S)
        self.gateway = AgentGateway(self.store, self.sessions, FixedClock(), lambda _request: signer)
        with self.store.update() as tx:
            tx.clusters.put(a_cluster())
            tx.container_instances.put(an_instance(connected=False))
            tx.task_definitions.put(a_definition())
            tx.tasks.put(a_task())

    async def refused(self, query: str = QUERY) -> tuple[int, str]:
        """Status and exception of a handshake that is refused."""
        answer = await self.gateway.acs(a_request(query))
        assert isinstance(answer, Response)
        assert isinstance(answer.body, bytes)
        parsed = parse(answer.body)
        assert parsed is not None
        return answer.status, parsed[0]

    async def open(self) -> tuple[Socket, asyncio.Task[None]]:
        return start(await self.gateway.acs(a_request(QUERY)))


def a_request(query: str) -> Request:
    return Request(method="GET", path="/acs/ws", query=query, headers={}, peer="127.0.0.1", body=NoBody())


def start(answer: Response | Conversation) -> tuple[Socket, asyncio.Task[None]]:
    assert not isinstance(answer, Response)
    socket = Socket()

    async def run() -> None:
        await answer(socket)

    return socket, asyncio.create_task(run())


async def finished(conversation: asyncio.Task[None]) -> None:
    await asyncio.wait_for(conversation, DEADLINE_S)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    asyncio.run(run())


def test_an_agent_is_greeted_given_its_tasks_and_told_of_changes_at_once() -> None:
    async def scene() -> None:
        world = World()
        socket, conversation = await world.open()
        payload = await socket.next_message()
        manifest = await socket.next_message()
        assert isinstance(payload, acs.PayloadMessage)
        assert isinstance(manifest, acs.TaskManifestMessage)
        instance = world.store.view().container_instances.get(INSTANCE)
        assert instance is not None
        assert (instance.agent_connected, instance.agent_version, instance.docker_version) == (True, "1.9", "24.0.7")

        with world.store.update() as tx:
            tx.tasks.put(request_stop(a_task(), code="UserInitiated", reason="enough", now_s=NOW_S))
        stop = await socket.next_message()
        assert isinstance(stop, acs.PayloadMessage)
        assert stop.tasks[0].desired_status == "STOPPED"

        assert world.sessions.away_since_s(INSTANCE) is None
        socket.said.put_nowait(None)
        await finished(conversation)
        assert world.sessions.away_since_s(INSTANCE) == NOW_S

    play(scene)


def test_nothing_is_said_of_a_task_before_it_is_durable() -> None:
    async def scene() -> None:
        world = World()
        socket, conversation = await world.open()
        for _ in range(2):
            await socket.next_message()
        world.journal.held = []
        with world.store.update() as tx:
            tx.tasks.put(a_task(2))
        socket.said.put_nowait(acs.encode(acs.HeartbeatAckRequest(message_id="wakes the session")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert socket.sent.empty()
        world.journal.release()
        payload = await socket.next_message()
        assert isinstance(payload, acs.PayloadMessage)
        assert payload.tasks[0].arn == a_task(2).arn
        socket.said.put_nowait(None)
        await finished(conversation)

    play(scene)


def test_a_newer_connection_closes_the_older() -> None:
    async def scene() -> None:
        world = World()
        old, old_conversation = await world.open()
        await old.next_message()
        new, new_conversation = await world.open()
        await finished(old_conversation)
        assert old.closed == (1000, "replaced")
        assert isinstance(await new.next_message(), acs.PayloadMessage)
        assert world.sessions.away_since_s(INSTANCE) is None
        new.said.put_nowait(None)
        await finished(new_conversation)

    play(scene)


def test_a_deregistered_instance_gets_its_refusal_as_a_frame() -> None:
    async def scene() -> None:
        world = World()
        socket, conversation = await world.open()
        for _ in range(2):
            await socket.next_message()
        with world.store.update() as tx:
            tx.container_instances.put(replace(an_instance(), status="INACTIVE"))
            tx.tasks.delete(a_task().arn)
        parsed = parse(await socket.next_text())
        assert parsed is not None
        assert parsed[0] == "InactiveInstanceException"
        await finished(conversation)

    play(scene)


def test_what_an_agent_says_unreadably_ends_its_connection() -> None:
    async def scene() -> None:
        world = World()
        socket, conversation = await world.open()
        socket.said.put_nowait("not a frame")
        await finished(conversation)
        assert world.sessions.away_since_s(INSTANCE) == NOW_S

    play(scene)


def test_handshakes_that_cannot_be_are_refused_by_name() -> None:
    async def scene() -> None:
        denied = World(Refusal("AccessDeniedException", "who are you"))
        assert await denied.refused() == (403, "AccessDeniedException")
        elsewhere = World(Scope(SCOPE.account, Region("eu-west-1")))
        assert await elsewhere.refused() == (400, "InvalidInstanceException")
        world = World()
        assert await world.refused("clusterArn=default") == (400, "InvalidInstanceException")
        assert await world.refused(QUERY.replace("=default", "=other")) == (400, "InvalidClusterException")
        assert await world.refused(QUERY + "&protocolVersion=1") == (400, "BadRequestException")
        with world.store.update() as tx:
            tx.container_instances.put(replace(an_instance(), status="INACTIVE"))
        assert await world.refused() == (400, "InactiveInstanceException")

    play(scene)


def test_telemetry_is_answered_message_by_message() -> None:
    async def scene() -> None:
        world = World()
        query = f"cluster=default&containerInstance={INSTANCE}"
        socket, conversation = start(await world.gateway.tcs(a_request(query)))
        assert json.loads(await socket.next_text()) == {"type": "HeartbeatMessage", "message": {"healthy": True}}
        socket.said.put_nowait('Host: x\r\n\r\n{"type":"PublishHealthRequest","message":{"metadata":{"fin":true}}}')
        socket.said.put_nowait('Host: x\r\n\r\n{"type":"PublishMetricsRequest","message":{}}')
        assert json.loads(await socket.next_text())["type"] == "AckPublishHealth"
        assert json.loads(await socket.next_text())["type"] == "AckPublishMetric"
        socket.said.put_nowait(None)
        await finished(conversation)

    play(scene)
