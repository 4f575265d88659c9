"""What an agent tells of its tasks: to their containers, to people on the host, and to telemetry."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from pathlib import Path
from typing import Final

from moorage.agent.api import EcsApi
from moorage.agent.background import Background
from moorage.agent.drivers.node import Node
from moorage.agent.machine import Machine
from moorage.agent.metadata.answer import Answer, Query
from moorage.agent.metadata.describe import Describer
from moorage.agent.metadata.file import MetadataFiles
from moorage.agent.metadata.introspection import Introspection
from moorage.agent.metadata.lookup import Lookup
from moorage.agent.metadata.rate import Rate
from moorage.agent.metadata.routes import Routes
from moorage.agent.metadata.server import MetadataServer, Neighbours
from moorage.agent.metadata.tags import Tags
from moorage.agent.metering import InstanceHealth, Metering
from moorage.agent.spec import SandboxId
from moorage.agent.state import load_registration
from moorage.agent.workers import ThreadWorkers
from moorage.base.clock import Clock
from moorage.base.dice import Dice
from moorage.boot.agent_config import AgentConfig

log = logging.getLogger("moorage.agent")

KEY_BYTES: Final = 32


class Telling:
    """Made with the agent; `open` listens, `close` stops listening. `instance` is filled in by registration."""

    def __init__(
        self, config: AgentConfig, node: Node, machine: Machine, ecs: EcsApi, clock: Clock, dice: Dice
    ) -> None:
        saved = load_registration(Path(config.directory) / "registration.json")
        self.instance = saved.container_instance if saved else ""
        self._config = config
        self._node = node
        self._clock = clock
        loop = asyncio.get_running_loop()
        # Of its own: a look at a thousand containers takes a moment, and starts must not wait for it.
        workers = ThreadWorkers(loop, 1, "meter")
        self.metering = Metering(lambda: machine.tasks, node, workers, loop, clock, dice)
        self.health = InstanceHealth(node, workers, clock, dice)
        describer = Describer(node, config.cluster)
        routes = Routes(
            Lookup(lambda: machine.tasks, node),
            describer,
            node,
            self.metering.samples.last,
            Tags(ecs.tags, lambda: self.instance).lay,
        )
        self.files = MetadataFiles(lambda: machine.tasks, describer, node, workers, lambda: self.instance)
        rate = Rate(clock.steady_s())
        neighbours = Neighbours(routes.answer, routes.knows, node.other_endpoints)
        self._server = MetadataServer(neighbours.answer, lambda: rate.allows(clock.steady_s()))
        self._introspection = Introspection(lambda: machine.tasks, describer, config.cluster, lambda: self.instance)
        self._own = MetadataServer(self._introspect, lambda: True)
        self._work = Background()

    async def open(self) -> None:
        """Answer containers from now on, those that an earlier agent has started too. Raises OSError."""
        await self._server.listen(self._node.endpoint)
        await self._open_to_the_host()
        loop = asyncio.get_running_loop()

        def told(sandbox: SandboxId, listener: socket.socket | None) -> None:
            loop.call_soon_threadsafe(self._inside, sandbox, listener)

        self._node.watch_endpoints(told)
        if self._config.introspection_port:
            await self._open_introspection()

    def begin(self) -> None:
        """Look at what is used, from now on; call once."""
        self.metering.watch()

    def close(self) -> None:
        self._work.cancel()
        self._server.close()
        self._own.close()

    async def _open_to_the_host(self) -> None:
        try:
            listener = self._node.host_endpoint()
        except OSError as error:  # something that is no agent of ours has the port
            log.error("tasks in the host's network cannot ask of themselves: %s", error)
            return
        if listener is not None:
            await self._server.listen(listener)

    async def _open_introspection(self) -> None:
        """On the address that was chosen; an agent that cannot have it still runs tasks."""
        host = self._config.introspection.rpartition(":")[0]
        try:
            listener = socket.create_server((host, self._config.introspection_port))
        except OSError as error:
            log.error("introspection: cannot listen on %s: %s", self._config.introspection, error)
            return
        listener.setblocking(False)
        await self._own.listen(listener)

    def _inside(self, sandbox: SandboxId, listener: socket.socket | None) -> None:
        if listener is None:
            self._server.leave(sandbox)
        else:
            self._work.spawn(self._server.listen(listener, sandbox))

    async def _introspect(self, query: Query) -> Answer:
        return await self._introspection.answer(query)


def endpoint_key(file: Path) -> str:
    """The node's secret, from which its containers' endpoint ids follow; made once."""
    try:
        return bytes.fromhex(file.read_text()).hex()
    except (FileNotFoundError, ValueError):
        key = secrets.token_hex(KEY_BYTES)
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(key)
        fresh.replace(file)
        return key
