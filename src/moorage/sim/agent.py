"""An agent in the simulated world: production machine, executor and API client on a simulated host."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec

from moorage.agent import events as on
from moorage.agent.api import Api, ApiRefused, Attribute, EcsApi
from moorage.agent.executor import Executor
from moorage.agent.health_report import health_messages
from moorage.agent.hearing import event_of
from moorage.agent.machine import Machine
from moorage.agent.payload import NodeTraits
from moorage.agent.ports import World
from moorage.agent.spec import ContainerId, DriverError, SandboxId
from moorage.agent.task import LogPlan, Report, TaskRecord
from moorage.agent.telemetry import SETTLE_S, TICK_S
from moorage.base.dice import uuid
from moorage.base.errors import MoorageError, Refused, Unavailable
from moorage.link import acs, tcs
from moorage.model.container_instance import Resources
from moorage.sim.dice import SeededDice
from moorage.sim.host import SimHost
from moorage.sim.server import REGION, CutOff, ServerConnection, SimServer
from moorage.sim.time import VirtualTime

T = TypeVar("T")

RECONNECT_MIN_S, RECONNECT_MAX_S = 0.25, 5.0  # as agent.session backs off
LATENCY_MIN_S, LATENCY_MAX_S = 0.0002, 0.01
# A request whose answer never comes is given up after the API client's own round trip time.
ROUND_TRIP_S = 42.0


class _Pending:
    """What a coroutine of the API client waits for in place of a socket."""

    def __init__(self) -> None:
        self.answer: bytes | MoorageError | None = None
        self.then: Callable[[], None] = lambda: None

    def __await__(self) -> Generator[_Pending, None, bytes]:
        if self.answer is None:
            yield self
        assert self.answer is not None
        if isinstance(self.answer, MoorageError):
            raise self.answer
        return self.answer

    def resolve(self, answer: bytes | MoorageError) -> None:
        """The first answer counts."""
        if self.answer is None:
            self.answer = answer
            self.then()


@dataclass(frozen=True)
class Role:
    """What an agent registers as."""

    cluster: str
    attributes: tuple[Attribute, ...]
    total: Resources


class SimAgent:
    """Started, crashed and started again on one host; may be cut off from the server."""

    def __init__(self, host: SimHost, server: SimServer, time: VirtualTime, dice: SeededDice, role: Role) -> None:
        self.host = host
        self.cluster = role.cluster
        self.total = role.total
        self.up = False
        self.partitioned = False
        self._server = server
        self._time = time
        self._dice = dice
        self._attributes = role.attributes
        self._traits = NodeTraits(region=REGION)
        self._life = 0
        self._connection: ServerConnection | None = None
        self._boot = "boot-0"
        self.machine: Machine | None = None

    # ---- life and death

    def start(self) -> None:
        """Adopt what an earlier life left, register, connect."""
        assert not self.up
        self._life += 1
        self.up = True
        self.machine = Machine(self.total)
        self._executor = Executor(self.machine, self._world())
        self.host.on_exit = self._alive(self._executor.exits_readable)
        records = tuple(msgspec.json.decode(raw, type=TaskRecord) for raw in self.host.records.values())
        self._executor.feed(
            on.Adopted(
                boot=self._boot,
                records=records,
                containers=tuple(self.host.list_containers()),
                sandboxes=tuple(self.host.list_sandboxes()),
            )
        )
        self._executor.watch()
        self._tick()
        self._register()

    def crash(self) -> None:
        """kill -9: containers go on."""
        assert self.up
        self.up = False
        self.host.on_exit = lambda: None
        self.host.agent_died()
        self.hang_up()

    def reboot(self) -> None:
        """The host loses power and comes back at once; the agent is started separately."""
        if self.up:
            self.crash()
        self.host.reboot()
        self._boot = f"boot-{self._life}"

    def hang_up(self) -> None:
        """The connection breaks."""
        if self._connection is not None:
            self._connection.cut()

    def _alive(self, callback: Callable[[], None]) -> Callable[[], None]:
        life = self._life

        def guarded() -> None:
            if self.up and self._life == life:
                callback()

        return guarded

    def _world(self) -> World:
        workers = _Workers(self)
        return World(
            node=self.host,
            images=self.host,
            logs=_NoLogs(),
            control=_Control(self),
            records=_Records(self.host),
            node_workers=workers,
            pull_workers=workers,
            check_workers=workers,
            timers=_Timers(self),
            clock=self._time,
        )

    # ---- the API, through the production client

    def call(self, service: str, operation: str, body: bytes) -> _Pending:
        """One request over a network that delays, and loses what is cut off."""
        pending = _Pending()
        server = self._server

        def give_up() -> None:
            pending.resolve(CutOff(f"{operation}: no answer"))

        def arrive() -> None:
            if self.partitioned or not server.up:
                self._time.call_later(0.05, self._alive(give_up))
                return
            server.call("node", (service, operation), body, leave)

        def leave(answer: dict[str, Any] | MoorageError) -> None:
            told = _as_the_client_sees(operation, answer)
            self._time.call_later(self._latency(), self._alive(lambda: self._receive(pending, told)))

        self._time.call_later(self._latency(), arrive)
        self._time.call_later(ROUND_TRIP_S, self._alive(give_up))
        return pending

    def _receive(self, pending: _Pending, told: bytes | MoorageError) -> None:
        if not self.partitioned:
            pending.resolve(told)

    def _latency(self) -> float:
        return self._dice.between(LATENCY_MIN_S, LATENCY_MAX_S)

    def drive(self, work: Coroutine[_Pending, None, T], done: Callable[[T | MoorageError], None]) -> None:
        """Run a coroutine of the client to its end, across answers."""

        def step() -> None:
            try:
                pending = work.send(None)
            except StopIteration as stop:
                done(stop.value)
            except MoorageError as error:
                done(error)
            else:
                pending.then = self._alive(step)

        step()

    def ecs(self) -> EcsApi:
        """The production client over the simulated network."""
        return EcsApi(_Api(self))

    # ---- registration and session

    def _register(self) -> None:
        arn, token = self.host.registration, uuid(self._dice)
        self.drive(self.ecs().register(self.cluster, arn, self._attributes, self.total, token), self._registered)

    def _registered(self, answer: str | MoorageError) -> None:
        if isinstance(answer, str):
            self.host.registration = answer
            self._connect()
        elif isinstance(answer, ApiRefused) and answer.code != "ClusterNotFoundException":  # a client makes it
            raise AssertionError(f"registration was refused: {answer}")
        else:
            self._time.call_later(self._dice.between(RECONNECT_MIN_S, RECONNECT_MAX_S), self._alive(self._register))

    def _connect(self) -> None:
        connection = None
        if self._server.up and not self.partitioned:
            assert self.host.registration is not None
            connection = self._server.connect(self.host.registration, self._delivered(), self._alive(self._cut))
        if connection is None:
            self._time.call_later(self._dice.between(RECONNECT_MIN_S, RECONNECT_MAX_S), self._alive(self._connect))
            return
        self._connection = connection
        self._executor.feed(on.SessionOpened())

    def _cut(self) -> None:
        self._connection = None
        self._time.call_later(self._dice.between(RECONNECT_MIN_S, RECONNECT_MAX_S), self._alive(self._connect))

    def _delivered(self) -> Callable[[acs.ServerMessage], None]:
        """Frames of one connection arrive in order, each some time after the one before."""
        last_s = self._time.now_s()

        def deliver(message: acs.ServerMessage) -> None:
            nonlocal last_s
            connection = self._connection
            last_s = max(last_s, self._time.now_s() + self._latency())

            def arrive() -> None:
                if connection is not None and connection is self._connection:
                    self._hear(message)

            self._time.call_later(last_s - self._time.now_s(), self._alive(arrive))

        return deliver

    def _hear(self, message: acs.ServerMessage) -> None:
        # Through the bytes: what cannot be written and read again is a bug in link.
        read = acs.decode(acs.encode(message))
        assert read is not None
        if isinstance(read, acs.HeartbeatMessage):
            self.say(acs.HeartbeatAckRequest(message_id=read.message_id))
            return
        event = event_of(read, self._traits)
        if event is not None:
            self._executor.feed(event)

    def _tick(self) -> None:
        """As agent.telemetry: a round at once, and with every tick."""
        self.publish()
        self._time.call_later(TICK_S, self._alive(self._tick))

    def publish(self) -> None:
        """One round of telemetry, where there is a connection to carry it."""
        registration = self.host.registration
        if registration is None or self.machine is None or self.partitioned:
            return
        tasks, now_s = self.machine.tasks.values(), self._time.now_s()
        for message in health_messages(tasks, self.cluster, registration, uuid(self._dice), now_s):
            self._time.call_later(self._latency(), self._server.alive(partial(self._collected, tcs.encode(message))))

    def _collected(self, frame: str) -> None:
        message = tcs.decode(frame)
        assert isinstance(message, tcs.PublishHealthRequest)
        assert self.host.registration is not None
        self._server.collect(self.host.registration, message)

    def say(self, message: acs.AgentMessage) -> None:
        """A frame to the server, on the connection that is open now."""
        connection = self._connection

        def arrive() -> None:
            if connection is not None and connection is self._connection:
                read = acs.decode(acs.encode(message))
                assert read is not None
                connection.receive(read)

        self._time.call_later(self._latency(), self._server.alive(arrive))


def _as_the_client_sees(operation: str, answer: dict[str, Any] | MoorageError) -> bytes | MoorageError:
    """An answer as production's client reads it off the wire."""
    if isinstance(answer, Refused):
        return ApiRefused(operation, answer.code, answer.message)
    if isinstance(answer, MoorageError):
        return Unavailable(str(answer))
    return msgspec.json.encode(answer)


class _Api(Api):
    """The client's API without HTTP and signatures."""

    def __init__(self, agent: SimAgent) -> None:
        self._agent = agent  # nothing of the real one is made: no connection, no key

    async def call(self, service: str, operation: str, request: msgspec.Struct, kind: type[T]) -> T:
        answer = await self._agent.call(service, operation, msgspec.json.encode(request))
        return msgspec.json.decode(answer, type=kind)


class _Control:
    def __init__(self, agent: SimAgent) -> None:
        self._agent = agent

    def submit(self, report: Report, done: Callable[[bool], None]) -> None:
        def answered(answer: MoorageError | None) -> None:
            done(answer is None or isinstance(answer, ApiRefused))

        self._agent.drive(self._agent.ecs().submit(report), answered)

    def acknowledge(self, message_id: str) -> None:
        registration = self._agent.host.registration or ""
        self._agent.say(
            acs.AckRequest(cluster=self._agent.cluster, container_instance=registration, message_id=message_id)
        )

    def publish_soon(self) -> None:
        agent = self._agent
        agent._time.call_later(SETTLE_S, agent._alive(agent.publish))

    def verify_stops(self, message_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        candidates = tuple(
            acs.TaskIdentifier(task_arn=arn, task_cluster_arn=cluster, desired_status="STOPPED")
            for arn, cluster in tasks
        )
        self._agent.say(acs.TaskStopVerificationMessage(message_id=message_id, stop_candidates=candidates))


class _Records:
    def __init__(self, host: SimHost) -> None:
        self._host = host

    def save(self, record: TaskRecord) -> None:
        self._host.save(record.plan.id, record)

    def forget(self, task: SandboxId) -> None:
        self._host.records.pop(task, None)


class _Timers:
    def __init__(self, agent: SimAgent) -> None:
        self._agent = agent

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._agent._time.call_later(delay, self._agent._alive(callback))


class _Workers:
    """Blocking work in virtual time: it happens in the middle of its delay, its answer comes at the end.

    Where the agent dies in between, the work was done and nobody knows.
    """

    def __init__(self, agent: SimAgent) -> None:
        self._agent = agent

    def submit(self, work: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        agent = self._agent
        half_s = agent.host.delay_s() / 2

        def happen() -> None:
            outcome: T | BaseException
            try:
                outcome = work()
            except DriverError as error:
                outcome = error
            agent._time.call_later(half_s, agent._alive(lambda: done(outcome)))

        agent._time.call_later(half_s, agent._alive(happen))


class _NoLogs:
    """Logs go nowhere in the simulated world."""

    def prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[on.Event], None]) -> None:
        del plans
        done(on.LogsPrepared(task=task))

    def follow(self, container: ContainerId, task: SandboxId, plan: LogPlan) -> None:
        pass

    def flush(self, task: SandboxId, done: Callable[[], None]) -> None:
        del task
        done()

    def forget(self, task: SandboxId) -> None:
        pass
