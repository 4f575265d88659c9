"""The server in the simulated world: production state, operations, sessions and loops; only the sockets are missing.

It may crash between any two callbacks. What it had not made durable is gone, its connections are cut, and callbacks
that were meant for it find it dead.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import msgspec

from moorage.api.call import Call, Installation, Later
from moorage.base.errors import MoorageError, Unavailable
from moorage.base.ids import AccountId, ContainerInstanceArn, Region, Scope
from moorage.boot.first_start import prepare
from moorage.boot.services import SERVICES
from moorage.control.health import take_health
from moorage.control.instances import Hello, InstanceLoop, greet
from moorage.control.reaper import LogRetention, Reaper
from moorage.control.sessions import AcsSession, Sessions
from moorage.gateway.authorise import may_call
from moorage.gateway.chain import routes_of
from moorage.link import acs, tcs
from moorage.model.installation import Settings
from moorage.sim.dice import SeededDice
from moorage.sim.disk import SimDisk, SimJournal
from moorage.sim.time import VirtualTime
from moorage.store import Stalled, Store
from moorage.store.events_memory import MemoryEvents
from moorage.wire.dispatch import Dispatcher
from moorage.wire.http import Request
from moorage.wire.json import JSON_1_1, encode
from moorage.wire.validate import validate

ACCOUNT = AccountId("123456789012")
REGION = Region("us-east-1")
SETTINGS = Settings(
    id="00000000",
    account=ACCOUNT,
    regions=(REGION,),
    host="127.0.0.1",
    port=8780,
    vpc_cidr="172.31.0.0/16",
    nodes=(),
)

Answer = Callable[["dict[str, Any] | MoorageError"], None]
ROUTES = routes_of(SERVICES)
DISPATCHER = Dispatcher(SERVICES)


class _NoBody:
    """Bodies are handed over whole here."""

    async def read(self, limit_bytes: int) -> bytes:
        del limit_bytes
        return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""


NO_HEADERS = Request(method="POST", path="/", query="", headers={}, peer="simulated", body=_NoBody())


class CutOff(Unavailable):
    """No answer came: nobody knows whether the request was carried out."""


class SimServer:
    """Started, crashed and started again on one disk."""

    def __init__(self, time: VirtualTime, dice: SeededDice) -> None:
        self._time = time
        self._dice = dice
        self.disk = SimDisk()
        self.life = 0  # counts starts; a callback of an earlier life does nothing
        self.up = False
        self._journal: SimJournal | None = None
        self._connections: list[ServerConnection] = []

    def start(self) -> None:
        """Read the disk and go on from there."""
        assert not self.up
        self.life += 1
        self.up = True
        self._journal = SimJournal(self.disk, self._time, self._dice)
        self.store = Store(self._journal)
        self.events = MemoryEvents()
        self.sessions = Sessions(self._dice, self._time.now_s())
        if not len(self.store.view().clusters):
            prepare(self.store, SETTINGS, self._dice, self._time.now_s())
        for loop in (InstanceLoop(self.store, self.sessions), Reaper(self.store)):
            self._run(loop)
        self._run(LogRetention(self.store, self.events))

    def crash(self) -> None:
        """kill -9."""
        assert self.up
        assert self._journal is not None
        self.up = False
        self._journal.crash()
        for connection in list(self._connections):
            connection.cut()

    def alive(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback`, unless this life is over by then."""
        life = self.life

        def guarded() -> None:
            if self.up and self.life == life:
                callback()

        return guarded

    def _run(self, loop: InstanceLoop | Reaper | LogRetention) -> None:
        """As boot.runner: woken by its tables, and at least once in its period."""
        waiting = False

        def activate() -> None:
            nonlocal waiting
            waiting = False
            if self.store.stall_reason is None:
                loop.activate(self._time.now_s())

        def wake() -> None:
            nonlocal waiting
            if not waiting:
                waiting = True
                self._time.call_later(0.0, self.alive(activate))

        def tick() -> None:
            wake()
            self._time.call_later(loop.period_s, self.alive(tick))

        if loop.tables:
            self.store.watch(loop.tables, self.alive(wake))
        tick()

    # ---- the API

    def call(self, kind: Literal["root", "node"], action: tuple[str, str], body: bytes, answer: Answer) -> None:
        """One request; `answer` is called when a real one would leave, or never where the server dies first."""
        service, operation = action
        key = next(key for key in self.store.view().access_keys if key.kind == kind)
        assert may_call(key, service, operation), f"{kind} may not call {operation}"
        route = ROUTES[service, operation]
        compiled = DISPATCHER.service(service).operation(operation)
        assert compiled is not None
        request = JSON_1_1.parse(compiled, NO_HEADERS, body)
        validate(compiled, request)
        unsupported = route.reader.unsupported(request)
        assert not unsupported, f"{operation}: {unsupported}"
        handed = Call(
            store=self.store,
            events=self.events,
            installation=Installation(account=ACCOUNT, regions=(REGION,), endpoint=SETTINGS.endpoint),
            dice=self._dice,
            now_s=self._time.now_s(),
            scope=Scope(ACCOUNT, REGION),
            principal_arn=key.principal_arn,
            user_id=key.user_id,
        )
        try:
            output = route.run(handed, route.reader.read(request))
        except MoorageError as error:
            refusal = error
            self.store.when_durable(self.alive(lambda: answer(refusal)))
            return
        told = output.work() if isinstance(output, Later) else output
        # As the client reads it: bytes of JSON, made before anything else changes.
        wire = b"{}" if told is None else encode(told)
        self.store.when_durable(self.alive(lambda: answer(msgspec.json.decode(wire))))

    # ---- agents' connections

    def connect(
        self, arn: str, deliver: Callable[[acs.ServerMessage], None], on_cut: Callable[[], None]
    ) -> ServerConnection | None:
        """An agent's handshake; None where the instance is not known."""
        instance = self.store.view().container_instances.get(arn)
        if instance is None or instance.status == "INACTIVE" or self.store.stall_reason is not None:
            return None
        connection = ServerConnection(self, self._time, instance.arn, deliver, on_cut)
        self._connections.append(connection)
        return connection

    def collect(self, arn: str, message: tcs.PublishHealthRequest) -> None:
        """What an agent publishes; a stalled journal takes nothing."""
        instance = self.store.view().container_instances.get(arn)
        if instance is not None:
            with contextlib.suppress(Stalled):
                take_health(self.store, instance.arn, message)

    def gone(self, connection: ServerConnection) -> None:
        """A connection ended."""
        self._connections.remove(connection)


class ServerConnection:
    """As gateway.agents drives a session: woken by the store and by time, gated by durability."""

    def __init__(
        self,
        server: SimServer,
        time: VirtualTime,
        arn: ContainerInstanceArn,
        deliver: Callable[[acs.ServerMessage], None],
        on_cut: Callable[[], None],
    ) -> None:
        self._server = server
        self._time = time
        self._deliver = deliver
        self._on_cut = on_cut
        self._open = True
        self._waking = False
        self._timer_s: float | None = None
        self._session: AcsSession = server.sessions.open(arn, time.now_s())
        self._session.on_end = self._wake
        self._leave = server.store.watch_one("tasks", "instance", arn, self._wake)
        greet(server.store, arn, Hello(agent_version="simulated"), time.now_s())
        self._wake()

    def receive(self, message: acs.Message) -> None:
        """A frame from the agent."""
        if self._open:
            self._session.receive(message)
            self._wake()

    def cut(self) -> None:
        """The connection is gone, for whatever reason; both sides see it."""
        if not self._open:
            return
        self._open = False
        self._leave()
        self._server.sessions.close(self._session, self._time.now_s())
        self._server.gone(self)
        self._on_cut()

    def _wake(self) -> None:
        if self._open and not self._waking:
            self._waking = True
            self._time.call_later(0.0, self._server.alive(self._tell))

    def _tell(self) -> None:
        self._waking = False
        if not self._open:
            return
        messages = self._session.wake(self._server.store.view(), self._time.now_s())
        self._server.store.when_durable(self._server.alive(lambda: self._send(messages)))
        if self._session.ended is not None:
            self.cut()
            return
        self._set_timer()

    def _set_timer(self) -> None:
        """One timer at a time: the earliest that is needed."""
        due_s = self._session.due_s
        if self._timer_s is not None and self._timer_s <= due_s:
            return
        self._timer_s = due_s

        def fire() -> None:
            if self._timer_s == due_s:
                self._timer_s = None
                self._wake()

        self._time.call_later(max(0.0, due_s - self._time.now_s()), self._server.alive(fire))

    def _send(self, messages: list[acs.ServerMessage]) -> None:
        for message in messages:
            if self._open:
                self._deliver(message)
