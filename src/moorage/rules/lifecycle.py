"""What becomes of a task: when somebody decides to stop it, when its agent reports, when its host is lost.

Agents deliver reports at least once and in any order after a reconnection, so a report is laid over what is known:
nothing moves backwards, what is known of a container's end stays, and the same report twice is the report once. A
function that changes nothing returns the very same task, so that its caller can leave the write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from moorage.model.task import (
    Container,
    ContainerStatus,
    NetworkBinding,
    StopCode,
    Task,
    TaskStatus,
    advances,
    container_advances,
)

T = TypeVar("T")

ESSENTIAL_EXITED: Final = "Essential container in task exited"
FAILED_TO_START: Final = "Task failed to start"

# What the reason of a container begins with that never came to run. The kinds that also strike running containers
# (OutOfMemoryError, CannotStopContainerError, ContainerVanishedError) are not among them.
START_FAILURES: Final = (
    "CannotPull",
    "CannotCreate",
    "CannotStart",
    "CannotInspect",
    "ContainerNetworkingError",
    "ContainerRuntimeTimeoutError",
    "DockerStateError",
    "DockerTimeoutError",
    "HostConfigError",
    "ResourceInitializationError",
    "TaskStateError",
    "TaskStoppedBeforePullBeginError",
)


class ContainerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of one container; None is nothing said."""

    name: str
    status: ContainerStatus | None = None
    exit_code: int | None = None
    reason: str | None = None
    runtime_id: str | None = None
    image_digest: str | None = None
    network_bindings: tuple[NetworkBinding, ...] = ()


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of a task. One container may come twice, as it changed; the order is the order of time."""

    status: Literal["PENDING", "RUNNING", "STOPPED"] | None = None
    reason: str | None = None
    containers: tuple[ContainerReport, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


# ---- what may happen to a task --------------------------------------------------------------------------------


def request_stop(task: Task, *, code: StopCode, reason: str, now_s: float) -> Task:
    """Somebody wants the task to end. The first to say so gives the reason."""
    if task.stopped or task.desired_status == "STOPPED":
        return task
    return _changed(task, _stop_wanted(task, code, reason, now_s))


def apply_report(task: Task, report: TaskReport, now_s: float) -> Task:
    """The task after its agent's report. A STOPPED task stays as it is: late reports change nothing."""
    if task.stopped:
        return task
    heard = replace(
        task,
        containers=_after_reports(task.containers, report.containers),
        connectivity_at=_first(task.connectivity_at, now_s),
        pull_started_at=_first(task.pull_started_at, report.pull_started_at),
        pull_stopped_at=_first(task.pull_stopped_at, report.pull_stopped_at),
        execution_stopped_at=_first(task.execution_stopped_at, report.execution_stopped_at),
    )
    return _changed(task, _advanced(heard, report, now_s))


def abandon(task: Task, *, code: StopCode, reason: str, now_s: float) -> Task:
    """Nobody will ever report on the task again: it is STOPPED here and now."""
    if task.stopped:
        return task
    wanted = task if task.desired_status == "STOPPED" else _stop_wanted(task, code, reason, now_s)
    return _changed(task, _ended(wanted, now_s))


def set_connected(task: Task, connected: bool, now_s: float) -> Task:
    """Whether the task's agent can be reached; the time is that of the last connection."""
    if task.stopped or task.connected == connected:
        return task
    since = now_s if connected else task.connectivity_at
    return _changed(task, replace(task, connected=connected, connectivity_at=since))


# ---- how ------------------------------------------------------------------------------------------------------


def _changed(old: Task, new: Task) -> Task:
    """`new` with the next version, or `old` itself where nothing has changed. Illegal moves crash."""
    if new == old:
        return old
    _check(old, new)
    return replace(new, version=old.version + 1)


def _check(old: Task, new: Task) -> None:
    step = f"{old.id}: {old.last_status} -> {new.last_status}"
    assert not old.stopped, step
    assert old.last_status == new.last_status or advances(old.last_status, new.last_status), step
    assert old.desired_status == "RUNNING" or new.desired_status == "STOPPED", f"{old.id}: a stop was taken back"
    assert not new.stopped or (new.desired_status == "STOPPED" and new.stop_code and new.stopped_at is not None), step
    assert old.stop_code in (None, new.stop_code), f"{old.id}: {old.stop_code} -> {new.stop_code}"
    assert (old.arn, old.instance, old.reserved) == (new.arn, new.instance, new.reserved), old.id
    for before, after in zip(old.containers, new.containers, strict=True):
        moved = before.last_status == after.last_status or container_advances(before.last_status, after.last_status)
        assert moved, f"{old.id}/{before.name}: {before.last_status} -> {after.last_status}"


def _first(known: T | None, said: T | None) -> T | None:
    return said if known is None else known


def _after_reports(containers: tuple[Container, ...], reports: Sequence[ContainerReport]) -> tuple[Container, ...]:
    """Reports on containers that the task has not are dropped: the published agent has helpers of its own."""
    by_name = {container.name: container for container in containers}
    for report in reports:
        if report.name in by_name:
            by_name[report.name] = _after_report(by_name[report.name], report)
    return tuple(by_name[container.name] for container in containers)


def _after_report(container: Container, report: ContainerReport) -> Container:
    """What is known of a stopped container stays, what was missing is filled in; before, the latest word holds."""
    ended = container.last_status == "STOPPED"

    def latest(known: T | None, said: T | None) -> T | None:
        return _first(known, said) if ended else _first(said, known)

    status = container.last_status
    if report.status is not None and container_advances(status, report.status):
        status = report.status
    return replace(
        container,
        last_status=status,
        exit_code=latest(container.exit_code, report.exit_code),
        reason=latest(container.reason, report.reason or None),
        runtime_id=latest(container.runtime_id, report.runtime_id or None),
        image_digest=latest(container.image_digest, report.image_digest or None),
        network_bindings=latest(container.network_bindings or None, report.network_bindings or None) or (),
    )


def _advanced(task: Task, report: TaskReport, now_s: float) -> Task:
    if report.status == "STOPPED":
        if task.desired_status == "RUNNING":
            task = _stop_wanted(task, *why_ended(task, report.reason), now_s)
        return _ended(task, now_s)
    if report.status is not None and advances(task.last_status, report.status):
        task = _moved(task, report.status)
        if report.status == "RUNNING":
            task = replace(task, started_at=_first(task.started_at, now_s))
    ended = [container for container in task.containers if container.last_status == "STOPPED"]
    if task.desired_status == "RUNNING" and any(container.essential for container in ended):
        # The agent stops the rest of the task by itself; callers see now that it is ending, and why.
        task = _stop_wanted(task, *why_ended(task, report.reason), now_s)
    if task.desired_status == "STOPPED" and ended and task.last_status in ("RUNNING", "DEACTIVATING"):
        task = _moved(task, "STOPPING")
    return task


def why_ended(task: Task, task_reason: str | None) -> tuple[StopCode, str]:
    """Stop code and reason of a task that nobody asked to stop, from what its containers came to."""
    started = task.started_at is not None
    failures = [part for part in task.containers if (part.reason or "").startswith(START_FAILURES)]
    if failures and not started:
        worst = next((part for part in failures if part.essential), failures[0])
        return "TaskFailedToStart", worst.reason or FAILED_TO_START
    if task_reason and not started:
        return "TaskFailedToStart", task_reason
    if any(part.essential and part.last_status == "STOPPED" for part in task.containers):
        return "EssentialContainerExited", ESSENTIAL_EXITED
    if started:
        return "EssentialContainerExited", task_reason or ESSENTIAL_EXITED
    return "TaskFailedToStart", FAILED_TO_START


def _stop_wanted(task: Task, code: StopCode, reason: str, now_s: float) -> Task:
    return replace(task, desired_status="STOPPED", stop_code=code, stopped_reason=reason, stopping_at=now_s)


def _moved(task: Task, to: TaskStatus) -> Task:
    assert advances(task.last_status, to), f"{task.id}: {task.last_status} -> {to}"
    return replace(task, last_status=to)


def _ended(task: Task, now_s: float) -> Task:
    """STOPPED, with every container: one that nobody told of ended without a code."""
    return replace(
        _moved(task, "STOPPED"),
        containers=tuple(replace(part, last_status="STOPPED") for part in task.containers),
        execution_stopped_at=_first(task.execution_stopped_at, now_s),
        stopped_at=now_s,
    )
