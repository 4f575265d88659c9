"""How healthy a task is, from how healthy its containers are; and what a report of health changes.

Only essential containers count, as ECS counts. A container without a health check is UNKNOWN for ever, and so then is
a task of which it is an essential part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from moorage.model.task import Container, HealthStatus, Task


def task_health(containers: Iterable[Container]) -> HealthStatus:
    """The worst of the essential containers' health."""
    found = {container.health_status for container in containers if container.essential}
    if "UNHEALTHY" in found:
        return "UNHEALTHY"
    return "UNKNOWN" if "UNKNOWN" in found else "HEALTHY"


def with_health(task: Task, told: Mapping[str, HealthStatus]) -> Task:
    """The task after its agent's word on these containers, by name; the very same where nothing is new. What is
    told of a STOPPED task comes too late, and what is told of containers that it has not is about an agent's own."""
    if task.stopped:
        return task
    containers = tuple(
        replace(one, health_status=told.get(one.name, one.health_status)) if one.last_status != "STOPPED" else one
        for one in task.containers
    )
    if containers == task.containers:
        return task
    return replace(task, containers=containers, version=task.version + 1)
