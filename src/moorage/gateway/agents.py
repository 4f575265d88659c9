"""The agents' websockets, `/acs/ws` and `/tcs/ws`: they give a session its time, its frames and its wakings.

What is said is decided in `control.sessions`; here it is carried. A frame leaves only when the state that it was
computed from is durable, so no agent ever starts a task that a crash of ours could undo.

Health is taken into the state, all other telemetry into the metrics buffer. An acknowledgement means received; the
published agent ends a telemetry connection on which it hears nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from moorage.base.clock import Clock
from moorage.base.ids import ContainerInstanceArn, Scope
from moorage.base.limits import HEARTBEAT_PERIOD_S
from moorage.control.health import take_health
from moorage.control.instances import Hello, greet
from moorage.control.metrics import take_metrics, take_status
from moorage.control.sessions import AcsSession, Sessions
from moorage.gateway.chain import World, verified
from moorage.link import acs, tcs
from moorage.link.refusal import Refusal
from moorage.model.container_instance import ContainerInstance
from moorage.store import Stalled, Store
from moorage.store.metrics import MetricsBuffer
from moorage.wire.http import Request, Response, WebSocket
from moorage.wire.verify import SignatureError

_LOG = logging.getLogger(__name__)

ACS_PREFIX: Final = "/acs/ws"
TCS_PREFIX: Final = "/tcs/ws"
# What the published agent calls its Docker version on this socket begins with these words.
_DOCKER_PREFIX: Final = "DockerVersion: "

Authenticate = Callable[[Request], "Scope | Refusal"]
"""Who signed a handshake: the account and region of the key, or why it is not believed."""
Conversation = Callable[[WebSocket], Awaitable[None]]


def signed_by(world: World) -> Authenticate:
    """Signatures as the API verifies them; agents sign their handshakes for the service `ecs`, without a body."""

    def authenticate(request: Request) -> Scope | Refusal:
        try:
            key, region = verified(world, request, b"", "ecs", world.clock.now_s())
        except SignatureError as error:
            return Refusal("AccessDeniedException", str(error) or error.situation)
        served = next((one for one in world.installation.regions if one == region), None)
        if served is None:
            return Refusal("AccessDeniedException", f"The region {region} is not served here.")
        return Scope(key.account, served)

    return authenticate


@dataclass(frozen=True, slots=True)
class AgentGateway:
    """Takes the agents' connections. `acs` and `tcs` are the handlers for the two prefixes."""

    store: Store
    sessions: Sessions
    clock: Clock
    authenticate: Authenticate
    metrics: MetricsBuffer = field(default_factory=MetricsBuffer)

    async def acs(self, request: Request) -> Response | Conversation:
        """The connection over which an agent is told what to run."""
        query = dict(parse_qsl(request.query))
        found = self._instance(request, query.get("clusterArn"), query.get("containerInstanceArn"))
        if isinstance(found, Refusal):
            return _refused(found)
        if query.get("protocolVersion", str(acs.PROTOCOL_VERSION)) != str(acs.PROTOCOL_VERSION):
            return _refused(Refusal("BadRequestException", f"Only protocolVersion {acs.PROTOCOL_VERSION} is spoken."))
        arn = found.arn
        hello = Hello(
            agent_version=query.get("agentVersion"),
            agent_hash=query.get("agentHash"),
            docker_version=(query.get("dockerVersion") or "").removeprefix(_DOCKER_PREFIX) or None,
        )
        return lambda socket: self._converse(socket, arn, hello)

    async def tcs(self, request: Request) -> Response | Conversation:
        """The connection over which an agent publishes what it measured."""
        query = dict(parse_qsl(request.query))
        found = self._instance(request, query.get("cluster"), query.get("containerInstance"))
        if isinstance(found, Refusal):
            return _refused(found)
        arn = found.arn
        return lambda socket: self._collect(socket, arn)

    def _instance(self, request: Request, cluster: str | None, arn: str | None) -> ContainerInstance | Refusal:
        """The instance that a handshake speaks for."""
        scope = self.authenticate(request)
        if isinstance(scope, Refusal):
            return scope
        instance = self.store.view().container_instances.get(arn or "")
        if instance is None or (instance.account, instance.region) != scope:
            return Refusal("InvalidInstanceException", f"There is no container instance {arn}.")
        if cluster not in (None, instance.cluster, instance.cluster.rpartition("/")[2]):
            return Refusal("InvalidClusterException", f"{arn} is not in the cluster {cluster}.")
        if instance.status == "INACTIVE":
            return Refusal("InactiveInstanceException", f"Container instance {arn} is not active.")
        return instance

    # ---- ACS

    async def _converse(self, socket: WebSocket, arn: ContainerInstanceArn, hello: Hello) -> None:
        """One connection from its opening to its end."""
        session = self.sessions.open(arn, self.clock.now_s())
        woken = asyncio.Event()
        session.on_end = woken.set
        leaves = [self.store.watch_one(table, "instance", arn, woken.set) for table in ("tasks", "exec_sessions")]
        listener = asyncio.create_task(self._listen(socket, session, woken))
        listener.add_done_callback(lambda _: woken.set())
        try:
            greet(self.store, arn, hello, self.clock.now_s())
            await self._tell(socket, session)
            while session.ended is None and not listener.done():
                await _set_within(woken, session.due_s - self.clock.now_s())
                woken.clear()
                await self._tell(socket, session)
            await _part(socket, session)
        except Stalled as error:
            await socket.send(Refusal("ServerException", str(error)).body().decode())
        finally:
            for leave in leaves:
                leave()
            self.sessions.close(session, self.clock.now_s())
            await _cancelled(listener)

    async def _tell(self, socket: WebSocket, session: AcsSession) -> None:
        messages = session.wake(self.store.view(), self.clock.now_s())
        if any(not isinstance(message, acs.HeartbeatMessage) for message in messages):
            await self._durable()  # a heartbeat tells nothing of the state, and goes out while the disk is stalled
        for message in messages:
            await socket.send(acs.encode(message))

    async def _listen(self, socket: WebSocket, session: AcsSession, woken: asyncio.Event) -> None:
        """Until the agent closes, or says what cannot be read."""
        while (text := await socket.receive()) is not None:
            try:
                message = acs.decode(text)
            except acs.BadFrame as error:
                _LOG.warning("%s sent what cannot be read: %s", session.instance, error)
                return
            if message is not None:
                session.receive(message)
                woken.set()

    async def _durable(self) -> None:
        if self.store.settled:
            return
        durable = asyncio.Event()
        self.store.when_durable(durable.set)
        await durable.wait()

    # ---- TCS

    async def _collect(self, socket: WebSocket, arn: ContainerInstanceArn) -> None:
        beats = asyncio.create_task(self._beat(socket, arn))
        try:
            while (text := await socket.receive()) is not None:
                try:
                    message = tcs.decode(text)
                except acs.BadFrame as error:
                    _LOG.warning("%s published what cannot be read: %s", arn, error)
                    return
                if isinstance(message, tcs.PublishHealthRequest):
                    with contextlib.suppress(Stalled):  # the next round tells it again
                        take_health(self.store, arn, message)
                elif isinstance(message, tcs.PublishMetricsRequest):
                    take_metrics(self.store.view(), self.metrics, arn, message, self.clock.now_s())
                elif isinstance(message, tcs.PublishInstanceStatusRequest):
                    take_status(self.metrics, arn, message, self.clock.now_s())
                if isinstance(message, tcs.AgentMessage):
                    await socket.send(tcs.encode(tcs.answer(message)))
        finally:
            await _cancelled(beats)

    async def _beat(self, socket: WebSocket, arn: ContainerInstanceArn) -> None:
        """Heartbeats until the instance is deregistered or the socket is gone."""
        with contextlib.suppress(ConnectionError):  # the receiving side sees the end as well, and ends all
            while True:
                instance = self.store.view().container_instances.get(arn)
                if instance is None or instance.status == "INACTIVE":
                    await socket.send(
                        tcs.encode(tcs.StopTelemetrySessionMessage(message="The instance is not active."))
                    )
                    return
                await socket.send(tcs.encode(tcs.HeartbeatMessage(healthy=True)))
                await asyncio.sleep(HEARTBEAT_PERIOD_S)


def _refused(refusal: Refusal) -> Response:
    return Response(status=refusal.status, headers=(("content-type", "application/json"),), body=refusal.body())


async def _part(socket: WebSocket, session: AcsSession) -> None:
    """The last words: a refusal is a frame of its own, without the envelope."""
    ended = session.ended
    if isinstance(ended, Refusal):
        await socket.send(ended.body().decode())
        await socket.close(1000, ended.name)
    elif ended is not None:
        await socket.close(1000, ended)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, seconds))


async def _cancelled(task: asyncio.Task[None]) -> None:
    """The task is over when this returns; an error of its own is told."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await task
