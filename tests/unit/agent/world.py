"""A node made of dictionaries: it carries out the machine's commands when told to, in whatever order it is told.

It is strict where the real one is: a container is started once, in a sandbox that exists, and nothing is asked of
what was never made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent.machine import Machine
from moorage.agent.spec import (
    CheckResult,
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    Exit,
    RootImage,
    Sandbox,
    SandboxId,
    SandboxSpec,
)
from moorage.agent.task import ContainerPlan, LogPlan, Report, TaskPlan, TaskRecord
from moorage.model.container_instance import Resources

NOW_S = 1_767_225_600.0
IMAGE = RootImage(digest="sha256:" + "a" * 64, layers=("/layers/a",))
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/lab"


def plan(
    number: int = 1,
    *essential: bool,
    cpu: int = 256,
    memory: int = 512,
    ports: tuple[int, ...] = (),
    log: LogPlan | None = None,
) -> TaskPlan:
    """A task of one container for each flag (one essential container where there is none)."""
    id_ = SandboxId(f"{number:032x}")
    parts = tuple(
        ContainerPlan(
            spec=ContainerSpec(
                id=ContainerId(f"{id_}-{index}"), sandbox=id_, name=f"c{index}", image=f"image-{index}"
            ),
            runtime_id=f"runtime-{index}",
            essential=flag,
            stop_timeout_s=30.0,
            log=log,
        )
        for index, flag in enumerate(essential or (True,))
    )
    return TaskPlan(
        arn=f"arn:aws:ecs:us-east-1:123456789012:task/lab/{id_}",
        id=id_,
        cluster=CLUSTER,
        sandbox=SandboxSpec(id=id_, network_mode="awsvpc", isolation="namespaces"),
        containers=parts,
        need=Resources(cpu=cpu, memory=memory, ports_tcp=ports),
    )


def with_containers(task: TaskPlan, *changes: dict[str, object]) -> TaskPlan:
    """The task with these members laid over its containers, one dictionary each."""
    parts = tuple(replace(part, **change) for part, change in zip(task.containers, changes, strict=True))
    return replace(task, containers=parts)


def stop_order(id_: SandboxId) -> on.StopOrder:
    """That the task of that id is to end."""
    return on.StopOrder(arn=f"arn:aws:ecs:us-east-1:123456789012:task/lab/{id_}", id=id_, cluster=CLUSTER)


class World:
    """The machine, and all that it believes to be outside."""

    def __init__(self, total: Resources | None = None) -> None:
        self.total = total or Resources(cpu=2048, memory=4096, ports_tcp=(22,))
        self.machine = Machine(self.total)
        self.now_s = NOW_S
        self.well: set[ContainerId] = set()  # those whose health checks succeed
        self.published = 0
        self.pending: list[tuple[str, Callable[[bool], on.Event | None]]] = []
        self.timers: list[on.TimerFired] = []
        self.containers: dict[ContainerId, ContainerStatus] = {}
        self.started: list[ContainerId] = []
        self.restarted: list[ContainerId] = []
        self.sandboxes: dict[SandboxId, Sandbox] = {}
        self.records: dict[SandboxId, TaskRecord] = {}
        self.reports: list[Report] = []
        self.accepted: list[Report] = []
        self.commands: list[do.Command] = []
        self.acks: list[str] = []
        self.feed(on.Adopted(boot="boot-1"))

    def feed(self, event: on.Event) -> list[do.Command]:
        """Hand an event to the machine; what it wants done is remembered, not done."""
        commands = self.machine.handle(event, self.now_s)
        self.commands += commands
        for command in commands:
            self._take(command)
        return commands

    def run(self, *plans: TaskPlan, message: str = "m-1", seq_num: int = 1) -> list[do.Command]:
        return self.feed(on.PayloadReceived(message_id=message, seq_num=seq_num, run=plans))

    def stop(self, *ids: SandboxId) -> list[do.Command]:
        return self.feed(on.PayloadReceived(message_id="m-stop", seq_num=2, stop=tuple(map(stop_order, ids))))

    def exit(self, id_: ContainerId, code: int | None = 0, *, oom: bool = False) -> None:
        """The container ends of its own will."""
        self._end(id_, Exit(code=code, oom_killed=oom, at_s=self.now_s))
        status = self.containers[id_]
        assert status.exit is not None
        self.feed(on.ContainerExited(id=id_, exit=status.exit))

    def answer(self, index: int = 0, *, fails: bool = False) -> None:
        """Carry out the pending command at `index` and feed what comes of it."""
        _, work = self.pending.pop(index)
        event = work(fails)
        if event is not None:
            self.feed(event)

    def answer_all(self, *, fails: str = "") -> None:
        """Carry out everything, also what comes up meanwhile; commands named `fails` fail, once each."""
        failed: set[str] = set()
        while self.pending:
            name = self.pending[0][0]
            self.answer(fails=name == fails and name not in failed)
            failed |= {fails} if name == fails else set()

    def ends_unseen(self, id_: ContainerId, code: int) -> None:
        """The container ends, and no agent is there to be told."""
        self._end(id_, Exit(code=code, oom_killed=False, at_s=self.now_s))

    def signals(self) -> list[do.Signal]:
        return [command for command in self.commands if isinstance(command, do.Signal)]

    def timer_commands(self, timer: str) -> list[do.SetTimer]:
        return [command for command in self.commands if isinstance(command, do.SetTimer) and command.timer == timer]

    def sleep(self, seconds: float) -> None:
        """Time passes, and no timer is on time."""
        self.now_s += seconds

    def fire(self, timer: str) -> None:
        """Let the first timer of that name go off."""
        found = next(t for t in self.timers if t.timer == timer)
        self.timers.remove(found)
        self.feed(found)

    def restart_agent(self, boot: str = "boot-1", *, happens: Sequence[bool] = ()) -> None:
        """kill -9: what was pending may or may not have happened, its answer is lost; node and disk remain."""
        for (_, work), done in zip(self.pending, happens, strict=False):
            if done:
                work(False)
        self.pending.clear()
        self.timers.clear()
        if boot != "boot-1":
            self.containers.clear()
            self.sandboxes.clear()
        self.machine = Machine(self.total)
        self.feed(
            on.Adopted(
                boot=boot,
                records=tuple(self.records.values()),
                containers=tuple(self.containers.values()),
                sandboxes=tuple(self.sandboxes.values()),
            )
        )

    # ---- the node -----------------------------------------------------------------------------------------

    def _take(self, command: do.Command) -> None:
        if isinstance(command, do.SaveTask):
            self.records[command.record.plan.id] = command.record
        elif isinstance(command, do.ForgetTask):
            del self.records[command.task]
        elif isinstance(command, do.SetTimer):
            timer = command.timer
            fired = on.TimerFired(task=command.task, timer=timer, index=command.index, round=command.round)
            self.timers.append(fired)
        elif isinstance(command, do.Ack):
            self.acks.append(command.message_id)
        elif isinstance(command, do.Submit):
            self.reports.append(command.report)
            self._later("submit", lambda fails: self._submit(command, fails))
        elif isinstance(command, do.Signal):
            assert command.id in self.containers, f"signal for a container that is not there: {command.id}"
            self._later("signal", lambda fails: self._signal(command, fails))
        elif isinstance(command, do.RemoveOrphan):
            self._remove(command.sandbox, command.containers)
        elif isinstance(command, do.Inspect):
            self._later("inspect", lambda _: self._inspect(command))
        else:
            self._take_step(command)

    def _take_step(self, command: do.Command) -> None:
        if isinstance(command, do.Pull):
            done: on.Event = on.ImagePulled(task=command.task, index=command.index, image=IMAGE)
            failed = on.StepFailed(
                task=command.task, step="pull", index=command.index, kind="CannotPullContainerError", reason="no"
            )
            self._later("pull", lambda fails: failed if fails else done)
        elif isinstance(command, do.PrepareLogs):
            ready, lost = on.LogsPrepared(task=command.task), _failure(command.task, "logs")
            self._later("logs", lambda fails: lost if fails else ready)
        elif isinstance(command, do.MakeSandbox):
            self._later("sandbox", lambda fails: self._make(command, fails))
        elif isinstance(command, do.StartContainer):
            self._later("start", lambda fails: self._start(command, fails))
        elif isinstance(command, do.RestartContainer):
            # What it was told meanwhile is of a later time than its end, as on any host.
            self.now_s += 0.001
            self._later("restart", lambda fails: self._restart(command, fails))
        elif isinstance(command, do.CheckHealth):
            self._later("check", lambda fails: self._check(command, fails))
        elif isinstance(command, do.PublishHealth):
            self.published += 1
        elif isinstance(command, do.FlushLogs):
            self._later("flush", lambda _: on.LogsFlushed(task=command.task))
        elif isinstance(command, do.Dismantle):
            self._later("dismantle", lambda fails: self._dismantle(command, fails))
        else:
            assert isinstance(command, do.FollowLogs | do.VerifyStops), command

    def _later(self, name: str, work: Callable[[bool], on.Event | None]) -> None:
        self.pending.append((name, work))

    def _make(self, command: do.MakeSandbox, fails: bool) -> on.Event:
        if fails:
            return _failure(command.spec.id, "sandbox")
        sandbox = Sandbox(id=command.spec.id, ports=command.spec.ports, address="10.0.0.9")
        self.sandboxes[command.spec.id] = sandbox
        return on.SandboxMade(task=command.spec.id, sandbox=sandbox)

    def _start(self, command: do.StartContainer, fails: bool) -> on.Event:
        id_ = command.spec.id
        assert command.task in self.sandboxes, f"{id_} started without its sandbox"
        assert id_ not in self.started, f"{id_} started twice"
        if fails:
            return on.StepFailed(
                task=command.task, step="start", index=command.index, kind="CannotStartContainerError", reason="no"
            )
        self.started.append(id_)
        self.containers[id_] = ContainerStatus(id=id_, state="running", pid=1)
        return on.ContainerStarted(task=command.task, index=command.index)

    def _restart(self, command: do.RestartContainer, fails: bool) -> on.Event:
        id_ = command.spec.id
        assert command.task in self.sandboxes, f"{id_} started again without its sandbox"
        assert self.containers[id_].state != "running", f"{id_} started again while it runs"
        if fails:
            return on.StepFailed(
                task=command.task, step="restart", index=command.index, kind="CannotStartContainerError", reason="no"
            )
        self.restarted.append(id_)
        self.containers[id_] = ContainerStatus(id=id_, state="running", pid=2)
        return on.ContainerStarted(task=command.task, index=command.index)

    def _check(self, command: do.CheckHealth, fails: bool) -> on.Event:
        code = 0 if command.id in self.well and not fails else 1
        result = CheckResult(exit_code=code, output="looked")
        return on.HealthChecked(task=command.task, index=command.index, round=command.round, result=result)

    def _signal(self, command: do.Signal, fails: bool) -> on.Event | None:
        status = self.containers.get(command.id)
        if status is None or status.state != "running" or (fails and command.signal != "SIGKILL"):
            return None
        self._end(
            command.id, Exit(code=137 if command.signal == "SIGKILL" else 143, oom_killed=False, at_s=self.now_s)
        )
        exit_ = self.containers[command.id].exit
        assert exit_ is not None
        return on.ContainerExited(id=command.id, exit=exit_)

    def _end(self, id_: ContainerId, exit_: Exit) -> None:
        assert self.containers[id_].state == "running", f"{id_} ends twice"
        self.containers[id_] = ContainerStatus(id=id_, state="stopped", exit=exit_)

    def _inspect(self, command: do.Inspect) -> on.Event:
        absent = [ContainerStatus(id=id_, state="absent") for id_ in command.ids if id_ not in self.containers]
        present = [self.containers[id_] for id_ in command.ids if id_ in self.containers]
        return on.ContainersSeen(statuses=(*absent, *present))

    def _dismantle(self, command: do.Dismantle, fails: bool) -> on.Event:
        if fails:
            return _failure(command.task, "dismantle")
        self._remove(command.task, command.containers)
        return on.Dismantled(task=command.task)

    def _remove(self, sandbox: SandboxId, containers: tuple[ContainerId, ...]) -> None:
        for id_ in containers:
            self.containers.pop(id_, None)
        self.sandboxes.pop(sandbox, None)

    def _submit(self, command: do.Submit, fails: bool) -> on.Event:
        if fails:
            return on.ReportFailed(task=command.report.task)
        self.accepted.append(command.report)
        return on.ReportAccepted(task=command.report.task)


def _failure(task: SandboxId, step: on.Step) -> on.StepFailed:
    return on.StepFailed(task=task, step=step, kind="ResourceInitializationError", reason="no")
