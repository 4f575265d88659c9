"""The agent put together: machine and executor, the node's drivers, and the way to the control plane."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent import events as on
from moorage.agent.api import Api, ApiRefused, EcsApi, Reporter
from moorage.agent.background import Background
from moorage.agent.drivers.capabilities import has_apparmor
from moorage.agent.drivers.images import ImageSources, ImageStore
from moorage.agent.drivers.node import Node
from moorage.agent.drivers.storage import can_limit_storage
from moorage.agent.executor import Executor
from moorage.agent.health_report import health_messages
from moorage.agent.http import HttpClient
from moorage.agent.logs import LogShipper
from moorage.agent.logsource import NodeLogSource
from moorage.agent.machine import Machine
from moorage.agent.payload import NodeTraits
from moorage.agent.ports import World
from moorage.agent.registration import NodeIdentity, register
from moorage.agent.session import Session, Unregistered
from moorage.agent.state import TaskRecords
from moorage.agent.telemetry import Telemetry
from moorage.agent.terminals import Line, Terminals
from moorage.agent.workers import CHECK_THREADS, NODE_THREADS, PULL_THREADS, ThreadWorkers
from moorage.base.dice import uuid
from moorage.boot.agent_config import AgentConfig, Key
from moorage.boot.agent_telling import Telling, endpoint_key
from moorage.boot.world import SystemClock, SystemDice
from moorage.link import tcs
from moorage.wire.signer import Signer

log = logging.getLogger("moorage.agent")

# The control plane does not know this instance any more, or refuses it; a key or a clock may yet be put right.
REGISTER_AGAIN_S: Final = 2.0


class ControlPlane:
    """Reports go over the API, answers over the session."""

    def __init__(self, reporter: Reporter, session: Session, telemetry: Telemetry) -> None:
        self.submit = reporter.submit
        self.publish_soon = telemetry.wake
        self.acknowledge = session.acknowledge
        self.verify_stops = session.verify_stops


class Agent:
    """Made by `open`, which adopts what runs; `begin` connects it; `stop` leaves everything running."""

    def __init__(self, config: AgentConfig, key: Key, node: Node) -> None:
        loop = asyncio.get_running_loop()
        self._config = config
        self._node = node
        self._clock, self._dice = SystemClock(), SystemDice()
        self._work = Background()
        self._http = HttpClient(config.endpoint)
        self._images = ImageStore(Path(config.images), _sources(config, key))
        signer = Signer(access_key_id=key.id, secret=key.secret, region=config.region, service="ecs")
        self._apis: dict[str, Api] = {}
        self._signer = signer
        self._ecs = EcsApi(self._api_in(config.region))
        self._machine = Machine(config.total())
        self._node_workers = ThreadWorkers(loop, NODE_THREADS, "node")
        directory = Path(config.directory)
        self._records = TaskRecords(directory / "tasks")
        self._registration = directory / "registration.json"
        self._telling = Telling(config, node, self._machine, self._ecs, self._clock, self._dice)
        self._session = Session(
            ecs=self._ecs,
            signer=signer,
            traits=NodeTraits(
                region=config.region,
                fleet_isolation=config.isolation,
                metadata_files=config.metadata_files,
                endpoint_key=endpoint_key(directory / "endpoint.key"),
            ),
            clock=self._clock,
            dice=self._dice,
            feed=self._hear,
        )
        self._session.on_heartbeat = self._telling.health.heartbeat
        line = Line(config.endpoint, signer, self._clock)
        self._terminals = Terminals(node, lambda: self._machine.tasks, line, self._work)
        self._session.on_exec = self._terminals.open
        self._telemetry = Telemetry(
            ecs=self._ecs,
            signer=signer,
            clock=self._clock,
            dice=self._dice,
            publishers=(self._health, self._telling.metering.publish, self._telling.health.publish),
        )
        self._executor = Executor(
            self._machine,
            World(
                node=node,
                images=self._images,
                logs=LogShipper(self._api_in, NodeLogSource(node.log_path), directory / "logs", self._work),
                control=ControlPlane(Reporter(self._ecs, self._work), self._session, self._telemetry),
                records=self._records,
                node_workers=self._node_workers,
                pull_workers=ThreadWorkers(loop, PULL_THREADS, "pull"),
                check_workers=ThreadWorkers(loop, CHECK_THREADS, "check"),
                timers=loop,
                clock=self._clock,
                heard=self._telling.files.heard,
            ),
        )

    @staticmethod
    async def open(config: AgentConfig, key: Key, boot: str) -> Agent:
        """Take possession of the node and of what an earlier agent left there."""
        Path(config.directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        agent = Agent(config, key, Node.open(config.node()))
        agent._adopt(boot)
        await agent._telling.open()
        return agent

    def _adopt(self, boot: str) -> None:
        records, unreadable = self._records.load()
        # From here on ends are told; those before are in what the node lists next.
        asyncio.get_running_loop().add_reader(self._node.exits_fd(), self._executor.exits_readable)
        self._executor.feed(
            on.Adopted(
                boot=boot,
                records=tuple(records),
                unreadable=tuple(unreadable),
                containers=tuple(self._node.list_containers()),
                sandboxes=tuple(self._node.list_sandboxes()),
            )
        )
        log.info("adopted %d tasks, %d containers run", len(records), len(self._machine.running()))

    def begin(self) -> None:
        """Register, and keep a session."""
        self._executor.watch()
        self._telling.begin()
        self._work.spawn(self._stay_connected())

    async def _stay_connected(self) -> None:
        config = self._config
        identity = NodeIdentity(
            cluster=config.cluster,
            region=config.region,
            fleet=config.fleet,
            zone=config.zone,
            isolation=config.isolation,
            total=config.total(),
            file_systems=tuple(config.file_systems),
            ephemeral_storage=can_limit_storage(),
            apparmor=has_apparmor(),
        )
        while True:
            telemetry = None
            try:
                arn = await register(self._ecs, identity, self._registration, self._dice)
                self._telling.instance = arn
                log.info("registered as %s", arn)
                telemetry = self._work.spawn(self._telemetry.run(config.cluster, arn))
                await self._session.run(config.cluster, arn)
            except Unregistered as error:
                log.warning("registering again: %s", error)
            except ApiRefused as error:
                log.error("the control plane refuses this agent: %s", error)
            finally:
                if telemetry is not None:
                    telemetry.cancel()
            await asyncio.sleep(REGISTER_AGAIN_S)

    def _hear(self, event: on.Event) -> None:
        self._executor.feed(event)
        if isinstance(event, on.SessionOpened) and self._config.ready_file is not None:
            Path(self._config.ready_file).touch()

    def _health(self, cluster: str, instance: str) -> list[tcs.PublishHealthRequest]:
        """Of all running containers that are checked."""
        tasks = self._machine.tasks.values()
        return health_messages(tasks, cluster, instance, uuid(self._dice), self._clock.now_s())

    async def stop(self, patience_s: float) -> None:
        """Let steps in the making finish; every container goes on."""
        self._work.cancel()
        await self._terminals.close()
        self._telling.close()
        if not await self._node_workers.drain(patience_s):
            log.warning("steps of the node are still going on; the next agent takes them up")
        self._node.detach()

    def _api_in(self, region: str) -> Api:
        if region not in self._apis:
            signer = msgspec.structs.replace(self._signer, region=region)
            self._apis[region] = Api(self._http, signer, self._clock)
        return self._apis[region]


def _sources(config: AgentConfig, key: Key) -> ImageSources:
    """The installation's registry first, at the API's own address."""
    return ImageSources(installation_url=config.endpoint, username=key.id, password=key.secret)
