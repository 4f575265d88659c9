"""What a restarted agent makes of what it finds: records on disk against containers on the node. Pure.

A container that runs goes on running; one that ended while nobody looked keeps its exit code; one that never ran is
started now, also where its start was cut off half-way (`created`): the node has removed what was there of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.agent import restarts
from moorage.agent.events import Adopted
from moorage.agent.life import ContainerLife, TaskLife, restored_life
from moorage.agent.spec import ContainerId, ContainerStatus, Exit, SandboxId
from moorage.agent.task import TaskRecord

HOST_RESTARTED: Final = "ContainerVanishedError: the host was restarted"


class Orphan(msgspec.Struct, frozen=True):
    """On the node, and in no record."""

    sandbox: SandboxId
    containers: tuple[ContainerId, ...]


class Adoption(msgspec.Struct, frozen=True):
    tasks: list[TaskLife]  # in the order of their acceptance, each in the phase from which it goes on
    orphans: list[Orphan]


def adopt(found: Adopted, now_s: float) -> Adoption:
    """The tasks to go on with, and what is to be removed."""
    statuses = {status.id: status for status in found.containers}
    sandboxes = {sandbox.id for sandbox in found.sandboxes}
    known = {record.plan.id for record in found.records}
    records = sorted(found.records, key=lambda record: record.order)
    return Adoption(
        [_task(record, found.boot, statuses, sandboxes, now_s) for record in records], _orphans(found, known)
    )


def _orphans(found: Adopted, known: set[SandboxId]) -> list[Orphan]:
    containers: dict[SandboxId, list[ContainerId]] = {sandbox.id: [] for sandbox in found.sandboxes}
    for status in found.containers:
        containers.setdefault(SandboxId(status.id.rpartition("-")[0]), []).append(status.id)
    return [Orphan(id_, tuple(ids)) for id_, ids in containers.items() if id_ not in known]


def _task(
    record: TaskRecord,
    boot: str,
    statuses: dict[ContainerId, ContainerStatus],
    sandboxes: set[SandboxId],
    now_s: float,
) -> TaskLife:
    task = restored_life(record)
    if record.mark != "live":
        task.phase = record.mark
        return task
    for container in task.containers:
        if container.phase != "stopped":
            status = statuses.get(container.plan.spec.id)
            if record.boot == boot and not task.stop_wanted and _starts_again(container, status, now_s):
                continue
            _container(container, status, None if record.boot == boot else HOST_RESTARTED, now_s)
            if container.exit is not None and container.plan.essential:
                task.execution_stopped_at = task.execution_stopped_at or container.exit.at_s or now_s
    for container in task.containers:
        if container.phase == "restarting" and container.before_restart and task.ending:
            container.ended(container.before_restart)
    task.sandbox_made = task.plan.id in sandboxes
    if any(c.phase == "new" for c in task.containers):
        untouched = all(c.phase == "new" for c in task.containers)
        task.phase = "waiting" if untouched and not task.sandbox_made else "preparing"
    else:
        task.phase = "running"
    return task


def _starts_again(container: ContainerLife, status: ContainerStatus | None, now_s: float) -> bool:
    """Whether it is to be started again: it ended while nobody looked, or the earlier agent had not finished."""
    if status is None or status.state == "running":
        return False
    half_made = container.restarts > 0 and status.state == "created"
    if half_made or (status.exit is not None and restarts.is_old_news(container, status.exit)):
        container.before_restart = status.exit
        container.phase = "restarting"
        return True
    if status.exit is None or not restarts.is_due(container, status.exit, status.exit.at_s):
        return False
    container.phase = "running"  # as it was until then
    container.start_again(status.exit, now_s)
    return True


def _container(container: ContainerLife, status: ContainerStatus | None, lost: str | None, now_s: float) -> None:
    """Set a container's phase from what the node says; `lost` is why nothing can be alive any more."""
    state = status.state if status else "absent"
    if state == "running" and not lost:
        container.phase = "running"
        container.ever_started = True
        container.started_at = container.started_at or now_s
    elif status is not None and status.exit is not None:
        container.ever_started = True
        container.ended(status.exit)
    elif lost:
        container.fail(lost)
    elif container.ever_started or state == "stopped":
        container.ended(Exit(code=None, oom_killed=False, at_s=now_s))
