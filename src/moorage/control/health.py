"""What agents publish of containers' health, taken into the state.

Each round of an agent tells all of it again, so what is lost on the way, or comes while the journal is stalled, is
made good by the next. Only what is new is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from moorage.base.ids import ContainerInstanceArn
from moorage.link import tcs
from moorage.model.task import HealthStatus, Task
from moorage.rules.health import with_health
from moorage.store import Store

_STATUSES: Final[dict[str | None, HealthStatus]] = {
    "HEALTHY": "HEALTHY",
    "UNHEALTHY": "UNHEALTHY",
    "UNKNOWN": "UNKNOWN",
}


def take_health(store: Store, instance: ContainerInstanceArn, message: tcs.PublishHealthRequest) -> None:
    """Of the instance's own tasks; what it says of others' is nobody's business of it. Raises `Stalled`."""
    told = {one.task_arn: _by_container(one.containers) for one in message.tasks if one.task_arn}
    state = store.view()
    if not any(_news(state.tasks.get(arn), instance, health) for arn, health in told.items()):
        return
    with store.update() as tx:
        for arn, health in told.items():
            after = _news(tx.tasks.get(arn), instance, health)
            if after is not None:
                tx.tasks.put(after)


def _by_container(told: Iterable[tcs.ContainerHealth]) -> dict[str, HealthStatus]:
    return {
        one.container_name: _STATUSES[one.health_status]
        for one in told
        if one.container_name and one.health_status in _STATUSES
    }


def _news(task: Task | None, instance: ContainerInstanceArn, told: dict[str, HealthStatus]) -> Task | None:
    """The task as it becomes; None where nothing changes."""
    if task is None or task.instance != instance:
        return None
    after = with_health(task, told)
    return None if after is task else after
