"""What the control plane is told of containers' health: all of it in every round, so a lost round costs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from moorage.agent.life import TaskLife
from moorage.link import tcs

TASKS_MAX: Final = 10  # in one message, as the published agent has it


def health_messages(
    tasks: Iterable[TaskLife], cluster: str, instance: str, round_id: str, now_s: float
) -> list[tcs.PublishHealthRequest]:
    """The messages of one round; none where no running container is checked."""
    told = [one for one in (_task(task) for task in tasks) if one.containers]
    parts = [tuple(told[start : start + TASKS_MAX]) for start in range(0, len(told), TASKS_MAX)]
    return [_message(part, (cluster, instance, round_id), now_s, fin=part is parts[-1]) for part in parts]


def _message(
    tasks: Sequence[tcs.TaskHealth], names: tuple[str, str, str], now_s: float, *, fin: bool
) -> tcs.PublishHealthRequest:
    cluster, instance, round_id = names
    return tcs.PublishHealthRequest(
        metadata=tcs.PublishMetadata(cluster=cluster, container_instance=instance, fin=fin, message_id=round_id),
        timestamp=now_s,
        tasks=tuple(tasks),
    )


def _task(task: TaskLife) -> tcs.TaskHealth:
    facts = task.plan.facts
    return tcs.TaskHealth(
        task_arn=task.plan.arn,
        task_definition_family=facts.family,
        task_definition_version=facts.revision,
        containers=tuple(_containers(task)),
    )


def _containers(task: TaskLife) -> Iterator[tcs.ContainerHealth]:
    for container in task.containers:
        health = container.health
        if container.phase == "running" and health is not None:
            yield tcs.ContainerHealth(
                container_name=container.plan.spec.name,
                health_status=health.status,
                status_since=health.since_s,
                status_message=health.output or None,
            )
