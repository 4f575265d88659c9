"""What the executor needs of the world, one small Protocol each: the node has one set, the simulator another.

Node and images block and are called by workers; all else is called on the agent's own thread and answers at once,
by calling `done` there when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from moorage.agent.events import Event
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
from moorage.agent.task import LogPlan, Report, TaskRecord
from moorage.base.clock import Clock

T = TypeVar("T")


class Node(Protocol):
    """Sandboxes and containers. Every call may be repeated; all raise `DriverError`."""

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox: ...

    def remove_sandbox(self, sandbox: SandboxId) -> None: ...

    def start_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus: ...

    def restart_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        """Run a container that has ended once more, on the files that it left."""
        ...

    def check_container(self, container: ContainerId, command: Sequence[str], timeout_s: float) -> CheckResult:
        """Run a program in a running container, as the container's own process runs."""
        ...

    def signal_container(self, container: ContainerId, signal: int | str) -> None: ...

    def remove_container(self, container: ContainerId) -> None: ...

    def status(self, container: ContainerId) -> ContainerStatus: ...

    def list_containers(self) -> Sequence[ContainerStatus]: ...

    def list_sandboxes(self) -> Sequence[Sandbox]: ...

    def take_exits(self) -> Sequence[tuple[ContainerId, Exit]]:
        """Containers that have ended since the last call; the one call here that is made on the agent's thread."""
        ...


class Images(Protocol):
    def ensure(self, reference: str) -> RootImage:
        """The image, pulled if need be. Raises `DriverError`."""
        ...


class Logs(Protocol):
    """Ships what containers print. Failures of `prepare` come back as a `StepFailed`."""

    def prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[Event], None]) -> None: ...

    def follow(self, container: ContainerId, task: SandboxId, plan: LogPlan) -> None: ...

    def flush(self, task: SandboxId, done: Callable[[], None]) -> None:
        """Send all that the task's containers have printed, then follow them no more."""
        ...

    def forget(self, task: SandboxId) -> None:
        """The task is gone from the node: its offsets too."""
        ...


class ControlPlane(Protocol):
    """The way back: reports over the API, answers over the session."""

    def submit(self, report: Report, done: Callable[[bool], None]) -> None:
        """`done` is told whether the report needs no further try."""
        ...

    def acknowledge(self, message_id: str) -> None: ...

    def publish_soon(self) -> None:
        """There is telemetry that should not wait for its tick."""
        ...

    def verify_stops(self, message_id: str, tasks: Sequence[tuple[str, str]]) -> None: ...


class Records(Protocol):
    def save(self, record: TaskRecord) -> None: ...

    def forget(self, task: SandboxId) -> None: ...


class Workers(Protocol):
    """Where blocking work is done: `done` is called on the agent's thread with what `work` returned or raised."""

    def submit(self, work: Callable[[], T], done: Callable[[T | BaseException], None]) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None]) -> object: ...


def _unheard(_: Event) -> None:
    """Nobody looks on."""


@dataclass(frozen=True, slots=True)
class World:
    """All of it together. Pulls and health checks have workers of their own: neither a slow
    registry nor a program that hangs may keep a start waiting."""

    node: Node
    images: Images
    logs: Logs
    control: ControlPlane
    records: Records
    node_workers: Workers
    pull_workers: Workers
    check_workers: Workers
    timers: Timers
    clock: Clock
    heard: Callable[[Event], None] = _unheard
    """Told of each event once the machine has dealt with it, for those who only look on."""
