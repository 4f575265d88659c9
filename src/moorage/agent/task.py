"""The agent's nouns: what it was asked to run, how far it has come, and what it tells the control plane.

A plan never changes once it was accepted. A record is a plan and how far it came: it is what a restarted agent
needs to go on. Everything that the node itself remembers (which containers run, how they ended) is not repeated.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from moorage.agent.facts import ContainerFacts, TaskFacts
from moorage.agent.spec import ContainerSpec, Exit, PortBinding, RootImage, SandboxId, SandboxSpec
from moorage.model.container_instance import Resources
from moorage.model.task_definition import Condition

Phase = Literal["waiting", "preparing", "starting", "running", "stopping", "cleaning", "stopped"]
"""waiting for room · pulling and building · starting one by one · all started · being ended · being removed · gone"""

ContainerPhase = Literal["new", "starting", "running", "restarting", "stopped"]
HealthStatus = Literal["UNKNOWN", "HEALTHY", "UNHEALTHY"]
Status = Literal["PENDING", "RUNNING", "STOPPED"]

# Forward only. A task may end at any point of its life, but what was made is always removed before it is `stopped`.
NEXT: Final[dict[Phase, frozenset[Phase]]] = {
    "waiting": frozenset({"preparing", "stopped"}),
    "preparing": frozenset({"starting", "cleaning"}),
    "starting": frozenset({"running", "stopping"}),
    "running": frozenset({"stopping"}),
    "stopping": frozenset({"cleaning"}),
    "cleaning": frozenset({"stopped"}),
    "stopped": frozenset(),
}
CONTAINER_NEXT: Final[dict[ContainerPhase, frozenset[ContainerPhase]]] = {
    "new": frozenset({"starting", "stopped"}),
    "starting": frozenset({"running", "stopped"}),
    "running": frozenset({"restarting", "stopped"}),
    "restarting": frozenset({"running", "stopped"}),
    "stopped": frozenset(),
}
# What the control plane is told of each phase.
STATUS: Final[dict[Phase, Status]] = {
    "waiting": "PENDING",
    "preparing": "PENDING",
    "starting": "PENDING",
    "running": "RUNNING",
    "stopping": "RUNNING",
    "cleaning": "RUNNING",
    "stopped": "STOPPED",
}
CONTAINER_STATUS: Final[dict[ContainerPhase, Status]] = {
    "new": "PENDING",
    "starting": "PENDING",
    "running": "RUNNING",
    "restarting": "RUNNING",  # nobody is told of a restart
    "stopped": "STOPPED",
}


DEFAULT_STOP_SIGNAL: Final = "SIGTERM"


class LogPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container's output goes: one stream of CloudWatch Logs."""

    group: str
    stream: str
    region: str
    create_group: bool = False


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A container of the same task, by its place in it, and what it must have come to."""

    index: int
    condition: Condition


class HealthPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run in the container now and then, and how its ends are judged."""

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float = 0.0


class RestartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """When a container that ended is started again."""

    period_s: float  # that it must have run
    ignored_codes: tuple[int, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a container's checks have come to."""

    status: HealthStatus = "UNKNOWN"
    since_s: float = 0.0
    exit_code: int | None = None  # of the last check; None where it did not end by itself
    output: str = ""
    failures: int = 0  # in a row


class ContainerPlan(msgspec.Struct, frozen=True, kw_only=True):
    spec: ContainerSpec
    runtime_id: str
    essential: bool = True
    stop_timeout_s: float
    log: LogPlan | None = None
    depends_on: tuple[Dependency, ...] = ()
    start_timeout_s: float | None = None  # for those that wait for more than this container's start
    health: HealthPlan | None = None
    restart: RestartPlan | None = None
    facts: ContainerFacts = ContainerFacts()


class TaskPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the control plane wants it. `need` is what it takes of the host until it is gone."""

    arn: str
    id: SandboxId
    cluster: str
    sandbox: SandboxSpec
    containers: tuple[ContainerPlan, ...]
    need: Resources = Resources()
    facts: TaskFacts = TaskFacts()


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a container was known to be, and what of its image is needed to the end."""

    started: bool = False
    stopped: bool = False
    digest: str = ""
    stop_signal: str = DEFAULT_STOP_SIGNAL
    exit: Exit | None = None
    reason: str = ""
    started_at: float | None = None
    health: Health | None = None
    image: RootImage | None = None  # of one that may be started again
    restarts: int = 0
    restarted_at: float | None = None


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task on disk. `cleaning` and `stopped` are marks that no return is possible; `boot` tells host restarts."""

    plan: TaskPlan
    boot: str
    order: int  # of acceptance: the queue for the host's resources is first come, first served
    stop_wanted: bool = False
    mark: Literal["live", "cleaning", "stopped"] = "live"
    containers: tuple[ContainerRecord, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    reason: str = ""
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


class ContainerReport(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    status: Status
    runtime_id: str
    digest: str
    exit_code: int | None
    reason: str
    ports: tuple[PortBinding, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a task as it is now: later reports replace earlier ones, so repeating one does no harm."""

    task: SandboxId
    arn: str
    cluster: str
    status: Status
    reason: str = ""
    containers: tuple[ContainerReport, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
