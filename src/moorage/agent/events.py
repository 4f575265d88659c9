"""What happens to the node, as values: everything that `machine.Machine.handle` reacts to."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.agent.spec import CheckResult, ContainerId, ContainerStatus, Exit, RootImage, Sandbox, SandboxId
from moorage.agent.task import TaskPlan, TaskRecord


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a payload that this agent cannot run; `containers` are the names it was told."""

    arn: str
    id: SandboxId
    cluster: str
    containers: tuple[str, ...]
    reason: str


class StopOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is to end, whether this agent ever heard of it or not."""

    arn: str
    id: SandboxId
    cluster: str


class PayloadReceived(msgspec.Struct, frozen=True, kw_only=True):
    message_id: str
    seq_num: int
    run: tuple[TaskPlan, ...] = ()
    stop: tuple[StopOrder, ...] = ()
    refused: tuple[Refusal, ...] = ()


class ManifestReceived(msgspec.Struct, frozen=True, kw_only=True):
    message_id: str
    timeline: int
    running: tuple[SandboxId, ...]  # the tasks that the control plane wants to run here


class StopsVerified(msgspec.Struct, frozen=True, kw_only=True):
    """The control plane's word that these tasks, which no manifest listed, are to end."""

    tasks: tuple[SandboxId, ...]


class SessionOpened(msgspec.Struct, frozen=True):
    """The control plane can be reached (again): what waits for an answer is worth sending now."""


class ImagePulled(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int
    image: RootImage


class SandboxMade(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    sandbox: Sandbox


class LogsPrepared(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId


class ContainerStarted(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int


class ContainerExited(msgspec.Struct, frozen=True, kw_only=True):
    id: ContainerId
    exit: Exit


class ContainersSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What the node says of the containers that were asked about; one it does not know is `absent`."""

    statuses: tuple[ContainerStatus, ...]


class HealthChecked(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int
    round: int
    result: CheckResult


class LogsFlushed(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId


class Dismantled(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing of the task is left on the node."""

    task: SandboxId


Step = Literal["record", "pull", "sandbox", "logs", "start", "restart", "dismantle"]


class StepFailed(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    step: Step
    index: int = 0  # of the container, for pull, start and restart
    kind: str
    reason: str


class ReportAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The control plane has the report, or has said that it never will take it."""

    task: SandboxId


class ReportFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The report did not get through; worth another try."""

    task: SandboxId


Timer = Literal["slow", "kill", "report", "dismantle", "await", "health"]


class TimerFired(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    timer: Timer
    index: int = 0
    round: int = 0


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """The first event of an agent's life: what an earlier one left behind, on disk and on the node."""

    boot: str
    records: tuple[TaskRecord, ...] = ()
    unreadable: tuple[SandboxId, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()


Event = (
    PayloadReceived
    | ManifestReceived
    | StopsVerified
    | SessionOpened
    | ImagePulled
    | SandboxMade
    | LogsPrepared
    | ContainerStarted
    | ContainerExited
    | ContainersSeen
    | HealthChecked
    | LogsFlushed
    | Dismantled
    | StepFailed
    | ReportAccepted
    | ReportFailed
    | TimerFired
    | Adopted
)
