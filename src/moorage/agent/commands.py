"""What the machine wants done, as values: everything that `executor.Executor` carries out, in this order."""

from __future__ import annotations

import msgspec

from moorage.agent.events import Timer
from moorage.agent.spec import ContainerId, ContainerSpec, RootImage, SandboxId, SandboxSpec
from moorage.agent.task import LogPlan, Report, TaskRecord


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int
    reference: str


class MakeSandbox(msgspec.Struct, frozen=True, kw_only=True):
    spec: SandboxSpec


class PrepareLogs(msgspec.Struct, frozen=True, kw_only=True):
    """Groups and streams must be there before a container may start."""

    task: SandboxId
    plans: tuple[LogPlan, ...]


class StartContainer(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int
    spec: ContainerSpec
    image: RootImage


class RestartContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Run a container that has ended once more, with the files that it has changed."""

    task: SandboxId
    index: int
    spec: ContainerSpec
    image: RootImage


class CheckHealth(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId
    index: int
    round: int
    id: ContainerId
    command: tuple[str, ...]
    timeout_s: float


class PublishHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Some container's health has changed: worth telling before the next tick."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    id: ContainerId
    signal: str


class Inspect(msgspec.Struct, frozen=True, kw_only=True):
    ids: tuple[ContainerId, ...]


class FollowLogs(msgspec.Struct, frozen=True, kw_only=True):
    id: ContainerId
    task: SandboxId
    plan: LogPlan


class FlushLogs(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId


class Dismantle(msgspec.Struct, frozen=True, kw_only=True):
    """Remove the containers, then the sandbox."""

    task: SandboxId
    containers: tuple[ContainerId, ...]


class RemoveOrphan(msgspec.Struct, frozen=True, kw_only=True):
    """Remove what is on the node and in no record; nobody waits for it."""

    sandbox: SandboxId
    containers: tuple[ContainerId, ...]


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    report: Report


class SaveTask(msgspec.Struct, frozen=True, kw_only=True):
    """Durable against the agent's own death before any later command begins."""

    record: TaskRecord


class ForgetTask(msgspec.Struct, frozen=True, kw_only=True):
    task: SandboxId


class SetTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Timers are never cancelled: one that comes late finds nothing to do."""

    task: SandboxId
    timer: Timer
    index: int = 0
    round: int = 0
    after_s: float


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    message_id: str


class VerifyStops(msgspec.Struct, frozen=True, kw_only=True):
    """Ask whether these tasks, which the manifest does not list, are truly to end."""

    message_id: str
    tasks: tuple[tuple[str, str], ...]  # (task ARN, cluster)


Command = (
    Pull
    | MakeSandbox
    | PrepareLogs
    | StartContainer
    | RestartContainer
    | CheckHealth
    | PublishHealth
    | Signal
    | Inspect
    | FollowLogs
    | FlushLogs
    | Dismantle
    | RemoveOrphan
    | Submit
    | SaveTask
    | ForgetTask
    | SetTimer
    | Ack
    | VerifyStops
)
