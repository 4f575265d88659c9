"""An agent without a control plane: the production machine and executor on a real node."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from moorage.agent import events as on
from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.executor import Executor
from moorage.agent.machine import Machine
from moorage.agent.ports import World
from moorage.agent.spec import ContainerId, DriverError, RootImage, SandboxId
from moorage.agent.state import TaskRecords
from moorage.agent.task import NEXT, LogPlan, Report, TaskPlan
from moorage.agent.workers import ThreadWorkers
from moorage.model.container_instance import Resources
from tests.node.drivers.host import PRIVATE, VPC, make_image, traces

PATIENCE_S = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


class Clock:
    def now_s(self) -> float:
        return time.time()

    def steady_s(self) -> float:
        return time.monotonic()


class OneImage:
    """Every reference is busybox, except the one that is missing."""

    def __init__(self, image: RootImage) -> None:
        self._image = image

    def ensure(self, reference: str) -> RootImage:
        if reference == "missing":
            raise DriverError("CannotPullContainerError", "missing: not found")
        return self._image


class NoLogs:
    """No task of these tests ships logs."""

    def prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[on.Event], None]) -> None:
        raise AssertionError(f"{task} has no log plans: {plans} {done}")

    def follow(self, container: ContainerId, task: SandboxId, plan: LogPlan) -> None:
        raise AssertionError(f"{container} of {task} has no log plan: {plan}")

    def flush(self, task: SandboxId, done: Callable[[], None]) -> None:
        raise AssertionError(f"{task} has no logs to flush: {done}")

    def forget(self, task: SandboxId) -> None:
        """Nothing was kept."""


class Listener:
    """A control plane that takes every report."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.acks: list[str] = []

    def submit(self, report: Report, done: Callable[[bool], None]) -> None:
        self.reports.append(report)
        asyncio.get_running_loop().call_soon(done, True)

    def acknowledge(self, message_id: str) -> None:
        self.acks.append(message_id)

    def verify_stops(self, message_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        raise AssertionError(f"no manifest was sent: {message_id} {tasks}")


class Agent:
    """One life of an agent; the next one adopts what this one leaves."""

    def __init__(self, config: NodeConfig, image: RootImage, records: Path) -> None:
        self.node = Node.open(config)
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.listener = Listener()
        self.machine = Machine(Resources(cpu=4096, memory=4096))
        self._workers = ThreadWorkers(loop, 8, "node")
        task_records = TaskRecords(records)
        self._executor = Executor(
            self.machine,
            World(
                node=self.node,
                images=OneImage(image),
                logs=NoLogs(),
                control=self.listener,
                records=task_records,
                node_workers=self._workers,
                pull_workers=ThreadWorkers(loop, 2, "pull"),
                check_workers=ThreadWorkers(loop, 2, "check"),
                timers=loop,
                clock=Clock(),
            ),
        )
        loop.add_reader(self.node.exits_fd(), self._executor.exits_readable)
        found, unreadable = task_records.load()
        self._executor.feed(
            on.Adopted(
                boot="boot",
                records=tuple(found),
                unreadable=tuple(unreadable),
                containers=tuple(self.node.list_containers()),
                sandboxes=tuple(self.node.list_sandboxes()),
            )
        )

    def run(self, *plans: TaskPlan) -> None:
        self._executor.feed(on.PayloadReceived(message_id="m", seq_num=1, run=plans))

    def stop(self, plan: TaskPlan) -> None:
        order = on.StopOrder(arn=plan.arn, id=plan.id, cluster=plan.cluster)
        self._executor.feed(on.PayloadReceived(message_id="s", seq_num=2, stop=(order,)))

    async def told(self, plan: TaskPlan, status: str) -> Report:
        """The first report of that status."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for report in self.listener.reports:
                    if (report.task, report.status) == (plan.id, status):
                        return report
                await asyncio.sleep(0.002)

    async def reached(self, plan: TaskPlan, phase: str) -> None:
        """Return in that phase of the task, or in a later one."""
        phases: list[str] = list(NEXT)
        earlier = phases[: phases.index(phase)]
        async with asyncio.timeout(PATIENCE_S):
            while plan.id in self.machine.tasks and self.machine.tasks[plan.id].phase in earlier:
                await asyncio.sleep(0)

    async def leave(self) -> None:
        """End this life; containers go on."""
        await self._workers.drain(PATIENCE_S)
        self._loop.remove_reader(self.node.exits_fd())
        self.node.detach()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> RootImage:
    return make_image(tmp_path_factory.mktemp("busybox") / "layer")


@pytest.fixture
def start(tmp_path: Path, image: RootImage) -> Iterator[Callable[[], Agent]]:
    """Start an agent on the test's own node, as often as it is called; in the end nothing is left of it."""
    config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="instance",
        directory=str(tmp_path / "node"),
        vpc_cidr=VPC,
        private_cidr=PRIVATE,
        isolations=("namespaces",),
    )
    try:
        yield lambda: Agent(config, image, tmp_path / "tasks")
    finally:
        Node.sweep(config)
    left = {kind: things for kind, things in traces(config).items() if things}
    assert not left, f"the node left {left}"
