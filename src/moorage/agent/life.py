"""The machine's own picture of one task. It changes in place, and only `machine.py` may change it."""

from __future__ import annotations

import msgspec

from moorage.agent.spec import Exit, PortBinding, RootImage
from moorage.agent.task import (
    CONTAINER_NEXT,
    CONTAINER_STATUS,
    DEFAULT_STOP_SIGNAL,
    NEXT,
    STATUS,
    ContainerPhase,
    ContainerPlan,
    ContainerRecord,
    ContainerReport,
    Health,
    Phase,
    Report,
    TaskPlan,
    TaskRecord,
)

REASON_MAX_CHARS = 1024  # of the API; a longer one would be refused as a whole


class ContainerLife(msgspec.Struct, kw_only=True):
    """One container from its plan to its end."""

    plan: ContainerPlan
    phase: ContainerPhase = "new"
    image: RootImage | None = None
    digest: str = ""
    stop_signal: str = DEFAULT_STOP_SIGNAL
    exit: Exit | None = None
    reason: str = ""
    signalled: bool = False
    ever_started: bool = False
    started_at: float | None = None
    health: Health | None = None
    round: int = 0  # of its health checks: what belongs to an earlier one is past
    restarts: int = 0
    restarted_at: float | None = None
    before_restart: Exit | None = None  # the end after which it is being started again

    def move(self, to: ContainerPhase) -> None:
        assert to in CONTAINER_NEXT[self.phase], f"{self.plan.spec.id}: {self.phase} -> {to}"
        self.phase = to

    def pulled(self, image: RootImage) -> None:
        self.image = image
        self.digest = image.digest
        self.stop_signal = image.stop_signal or DEFAULT_STOP_SIGNAL

    def fail(self, reason: str, code: int | None = None) -> None:
        """End without having run; a code is told only where the published agent tells one."""
        self.reason = self.reason or reason[:REASON_MAX_CHARS]
        if code is not None:
            self.exit = Exit(code=code, oom_killed=False, at_s=0.0)
        self.move("stopped")

    def ended(self, exit_: Exit, reason: str = "") -> None:
        """End as `exit_` says."""
        self.exit = exit_
        if reason:
            self.reason = reason[:REASON_MAX_CHARS]
        elif exit_.oom_killed:
            self.reason = "OutOfMemoryError: Container killed due to memory usage"
        elif exit_.code is None:
            self.reason = "ContainerVanishedError: the container's supervisor is gone and nobody saw how it ended"
        self.move("stopped")

    def began(self, now_s: float) -> None:
        """It runs, for the first time or again."""
        if self.phase == "starting":
            self.ever_started = True
            self.started_at = now_s
        self.move("running")

    def start_again(self, exit_: Exit, now_s: float) -> None:
        """It ended as `exit_` says, and that is not its end."""
        self.before_restart = exit_
        self.exit = None
        self.restarts += 1
        self.restarted_at = max(now_s, exit_.at_s)  # later than that end, whatever the clocks say
        self.health = None
        self.move("restarting")

    @property
    def began_s(self) -> float | None:
        """Since when it runs."""
        return self.started_at if self.restarted_at is None else self.restarted_at

    def report(self, ports: tuple[PortBinding, ...]) -> ContainerReport:
        spec = self.plan.spec
        return ContainerReport(
            name=spec.name,
            status=CONTAINER_STATUS[self.phase],
            runtime_id=self.plan.runtime_id if self.ever_started else "",
            digest=self.digest,
            exit_code=self.exit.code if self.exit else None,
            reason=self.reason,
            ports=tuple(port for port in ports if port.container == spec.name) if self.ever_started else (),
        )

    def record(self) -> ContainerRecord:
        return ContainerRecord(
            stopped=self.phase == "stopped",
            started=self.ever_started,
            digest=self.digest,
            stop_signal=self.stop_signal,
            exit=self.exit,
            reason=self.reason,
            started_at=self.started_at,
            health=self.health,
            image=self.image if self.plan.restart else None,
            restarts=self.restarts,
            restarted_at=self.restarted_at,
        )


class TaskLife(msgspec.Struct, kw_only=True):
    """One task from its acceptance to the control plane's word that its end was heard."""

    plan: TaskPlan
    order: int
    containers: list[ContainerLife]
    phase: Phase = "waiting"
    stop_wanted: bool = False
    reason: str = ""
    sandbox_pending: bool = False  # asked for and not answered yet
    sandbox_made: bool = False
    logs_ready: bool = False
    pending_start: int | None = None  # the container whose start was not answered yet
    ports: tuple[PortBinding, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
    reports: list[Report] = []  # oldest first; the first one is the one being sent
    report_sent: bool = False
    progress: Report | None = None  # what was last told of a start that waits
    attempts: int = 0  # in vain, of what is being tried now: the first report, or the dismantling

    def move(self, to: Phase) -> None:
        assert to in NEXT[self.phase], f"{self.plan.id}: {self.phase} -> {to}"
        self.phase = to

    @property
    def ending(self) -> bool:
        """Whether this task is to end: somebody said so, a step failed, or an essential container is no more."""
        return (
            self.stop_wanted
            or bool(self.reason)
            or any(c.phase == "stopped" and c.plan.essential for c in self.containers)
        )

    @property
    def unpulled(self) -> bool:
        """Whether a container that is to start still lacks its image."""
        return any(c.phase == "new" and c.image is None for c in self.containers)

    def report(self) -> Report:
        plan = self.plan
        return Report(
            task=plan.id,
            arn=plan.arn,
            cluster=plan.cluster,
            status=STATUS[self.phase],
            reason=self.reason if self.phase == "stopped" else "",
            containers=tuple(container.report(self.ports) for container in self.containers),
            pull_started_at=self.pull_started_at,
            pull_stopped_at=self.pull_stopped_at,
            execution_stopped_at=self.execution_stopped_at,
        )

    def record(self, boot: str) -> TaskRecord:
        mark = self.phase if self.phase in ("cleaning", "stopped") else "live"
        return TaskRecord(
            plan=self.plan,
            boot=boot,
            order=self.order,
            stop_wanted=self.stop_wanted,
            mark=mark,
            containers=tuple(container.record() for container in self.containers),
            ports=self.ports,
            reason=self.reason,
            pull_started_at=self.pull_started_at,
            pull_stopped_at=self.pull_stopped_at,
            execution_stopped_at=self.execution_stopped_at,
        )


def new_life(plan: TaskPlan, order: int) -> TaskLife:
    """A task that was just accepted."""
    return TaskLife(plan=plan, order=order, containers=[ContainerLife(plan=part) for part in plan.containers])


def restored_life(record: TaskRecord) -> TaskLife:
    """A task as its record tells it; how its containers fare, the node has to say."""
    life = new_life(record.plan, record.order)
    life.stop_wanted = record.stop_wanted
    life.ports = record.ports
    life.reason = record.reason
    life.pull_started_at = record.pull_started_at
    life.pull_stopped_at = record.pull_stopped_at
    life.execution_stopped_at = record.execution_stopped_at
    for container, known in zip(life.containers, record.containers, strict=True):
        container.digest = known.digest
        container.stop_signal = known.stop_signal
        container.exit = known.exit
        container.reason = known.reason
        container.ever_started = known.started
        container.started_at = known.started_at
        container.health = known.health
        container.image = known.image
        container.restarts = known.restarts
        container.restarted_at = known.restarted_at
        if known.stopped:
            container.phase = "stopped"
    return life
