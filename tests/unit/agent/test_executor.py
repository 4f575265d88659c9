"""Commands carried out, and what comes of them when something fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from moorage.agent import events as on
from moorage.agent.executor import Executor
from moorage.agent.machine import Machine
from moorage.agent.ports import World
from moorage.agent.spec import (
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    DriverError,
    Exit,
    RootImage,
    Sandbox,
    SandboxId,
    SandboxSpec,
)
from moorage.agent.task import LogPlan, Report, TaskPlan, TaskRecord
from moorage.model.container_instance import Resources

from .world import IMAGE, NOW_S, plan


class Here:
    """Everything the executor needs, in memory; work is done at once, in order, when `turn` is called."""

    def __init__(self) -> None:
        self.failing: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.exits: list[tuple[ContainerId, Exit]] = []
        self.reports: list[Report] = []
        self.saved: list[SandboxId] = []
        self._due: list[Callable[[], None]] = []
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self.machine = Machine(Resources(cpu=4096, memory=4096))
        self.executor = Executor(
            self.machine,
            World(
                node=self,
                images=self,
                logs=self,
                control=self,
                records=self,
                node_workers=self,
                pull_workers=self,
                check_workers=self,
                timers=self,
                clock=self,
            ),
        )
        self.executor.feed(on.Adopted(boot="b"))

    def run(self, *plans: TaskPlan) -> None:
        self.executor.feed(on.PayloadReceived(message_id="m", seq_num=1, run=plans))
        self.turn()

    def turn(self) -> None:
        """Do all that is due, and what it brings."""
        self._due.extend(callback for delay, callback in self._timers if delay == 0.0)
        self._timers = [timer for timer in self._timers if timer[0] > 0.0]
        while self._due:
            self._due.pop(0)()

    def _did(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]

    # ---- workers, timers, clock

    def submit(self, work: Any, done: Callable[[Any], None]) -> None:
        if isinstance(work, Report):
            self.reports.append(work)
            self._due.append(lambda: done(True))
            return

        def do() -> None:
            try:
                result = work()
            except (DriverError, OSError, ZeroDivisionError) as error:
                result = error
            done(result)

        self._due.append(do)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._timers.append((delay, callback))

    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0

    # ---- node, images, logs, control plane, records

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        self._did("create_sandbox")
        return Sandbox(id=spec.id)

    def remove_sandbox(self, sandbox: SandboxId) -> None:
        self._did(f"remove_sandbox {sandbox[-1]}")

    def start_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        self._did("start_container")
        assert image == IMAGE
        return ContainerStatus(id=spec.id, state="running", pid=1)

    def signal_container(self, container: ContainerId, signal: int | str) -> None:
        self._did(f"signal {container[-1]} {signal}")

    def remove_container(self, container: ContainerId) -> None:
        self._did(f"remove_container {container[-1]}")

    def status(self, container: ContainerId) -> ContainerStatus:
        self._did("status")
        return ContainerStatus(id=container, state="absent")

    def list_containers(self) -> Sequence[ContainerStatus]:
        return ()

    def list_sandboxes(self) -> Sequence[Sandbox]:
        return ()

    def take_exits(self) -> Sequence[tuple[ContainerId, Exit]]:
        taken, self.exits = self.exits, []
        return taken

    def ensure(self, reference: str) -> RootImage:
        self._did(f"pull {reference}")
        return IMAGE

    def prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[on.Event], None]) -> None:
        self.calls.append(f"prepare {len(plans)}")
        done(on.LogsPrepared(task=task))

    def follow(self, container: ContainerId, task: SandboxId, plan: LogPlan) -> None:
        self.calls.append(f"follow {container == f'{task}-0'} {plan.group}")

    def flush(self, task: SandboxId, done: Callable[[], None]) -> None:
        self.calls.append(f"flush {task[-1]}")
        done()

    def acknowledge(self, message_id: str) -> None:
        self.calls.append(f"ack {message_id}")

    def verify_stops(self, message_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        self.calls.append(f"verify {message_id} {len(tasks)}")

    def save(self, record: TaskRecord) -> None:
        self._did("save")
        self.saved.append(record.plan.id)

    def forget(self, task: SandboxId) -> None:
        self.calls.append(f"forget {task[-1]}")


LOG = LogPlan(group="/g", stream="s", region="us-east-1")


def test_a_task_goes_through_all_its_steps_in_order() -> None:
    here = Here()
    task = plan(1, log=LOG)
    here.run(task)
    assert here.calls == [
        "save",
        "ack m",
        "prepare 1",
        "create_sandbox",
        "pull image-0",
        "start_container",
        "follow True /g",
        "save",
    ]
    here.calls.clear()
    here.exits = [(task.containers[0].spec.id, Exit(code=0, oom_killed=False, at_s=NOW_S))]
    here.executor.exits_readable()
    here.turn()
    assert here.calls == ["save", "flush 1", "remove_container 0", "remove_sandbox 1", "forget 1", "save", "forget 1"]
    assert [report.status for report in here.reports] == ["RUNNING", "STOPPED"]


def test_a_full_disk_under_the_records_ends_the_task_before_it_starts() -> None:
    here = Here()
    here.failing["save"] = OSError(28, "No space left on device")
    here.run(plan())
    assert "start_container" not in here.calls
    assert here.reports[-1].status == "STOPPED"
    assert "No space left on device" in here.reports[-1].reason


def test_a_failure_of_the_operating_system_is_an_answer_like_a_drivers() -> None:
    here = Here()
    here.failing["create_sandbox"] = OSError(23, "Too many open files in system")
    here.run(plan())
    assert here.reports[-1].reason == "ResourceInitializationError: [Errno 23] Too many open files in system"


def test_a_bug_is_not_taken_for_a_failed_task() -> None:
    here = Here()
    here.failing["create_sandbox"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        here.run(plan())


def test_a_signal_that_fails_is_left_to_the_timer() -> None:
    here = Here()
    task = plan()
    here.run(task)
    here.failing["signal 0 SIGTERM"] = DriverError("CannotStopContainerError", "no")
    order = on.StopOrder(arn=task.arn, id=task.id, cluster=task.cluster)
    here.executor.feed(on.PayloadReceived(message_id="s", seq_num=2, stop=(order,)))
    here.turn()
    assert here.machine.tasks[task.id].phase == "stopping"


def test_a_look_at_all_containers_finds_those_that_vanished() -> None:
    here = Here()
    task = plan()
    here.run(task)
    here.executor.watch()
    here.turn()
    assert here.reports[-1].status == "STOPPED"
    assert here.reports[-1].containers[0].reason.startswith("ContainerVanishedError: ")


def test_removal_that_fails_is_tried_again_before_the_end_is_told() -> None:
    here = Here()
    task = plan()
    here.run(task)
    here.failing["remove_sandbox 1"] = DriverError("CannotStopContainerError", "busy")
    here.exits = [(task.containers[0].spec.id, Exit(code=0, oom_killed=False, at_s=NOW_S))]
    here.executor.exits_readable()
    here.turn()
    assert [report.status for report in here.reports] == ["RUNNING"]
    here.failing.clear()
    here.executor.feed(on.TimerFired(task=task.id, timer="dismantle"))
    here.turn()
    assert here.reports[-1].status == "STOPPED"
