"""What a payload says of order, health and restarts, made into plans. Raises ValueError with what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

from moorage.agent.task import Dependency, HealthPlan, RestartPlan
from moorage.link import acs, docker
from moorage.model.task_definition import DEFAULT_ATTEMPT_PERIOD_S, Condition

NS_PER_S: Final = 1_000_000_000
# Docker's own, for what a check leaves open.
DEFAULT_INTERVAL_S: Final = 30.0
DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_RETRIES: Final = 3


class Unresolvable(Exception):
    """No order satisfies all dependencies of a task."""


def dependencies(task: acs.Task, index: int) -> tuple[Dependency, ...]:
    """What one container waits for. Raises `Unresolvable`."""
    names = {part.name: place for place, part in enumerate(task.containers)}
    found = []
    for name, condition in _named(task.containers[index]):
        if name not in names:
            raise Unresolvable(f"{task.containers[index].name} depends on {name}, which the task has not")
        found.append(Dependency(index=names[name], condition=condition))
    return tuple(dict.fromkeys(found))


def check_graph(task: acs.Task) -> None:
    """That there is an order at all. Raises `Unresolvable`."""
    try:
        TopologicalSorter({part.name: [name for name, _ in _named(part)] for part in task.containers}).prepare()
    except CycleError as error:
        raise Unresolvable(" -> ".join(reversed(error.args[1]))) from error


def _named(part: acs.Container) -> Iterator[tuple[str, Condition]]:
    """Declared dependencies, and those implied: a link's name means one that runs, and volumes are had from one that
    was started."""
    yield from ((one.container_name, one.condition) for one in part.depends_on)
    yield from ((link.partition(":")[0], "START") for link in part.links)
    yield from ((one.source_container, "START") for one in part.volumes_from)


def health_plan(part: acs.Container, check: docker.Healthcheck | None) -> HealthPlan | None:
    """The check that is to be reported; None: whether the container is healthy is nobody's question."""
    if not part.health_check_type:
        return None
    if part.health_check_type != "docker" or check is None:
        raise ValueError(f"container {part.name} asks for a {part.health_check_type} health check and names none")
    return HealthPlan(
        command=_command(part.name, check.test),
        interval_s=(check.interval or 0) / NS_PER_S or DEFAULT_INTERVAL_S,
        timeout_s=(check.timeout or 0) / NS_PER_S or DEFAULT_TIMEOUT_S,
        retries=check.retries or DEFAULT_RETRIES,
        start_period_s=(check.start_period or 0) / NS_PER_S,
    )


def _command(name: str, test: tuple[str, ...]) -> tuple[str, ...]:
    kind, words = test[:1], test[1:]
    if kind == ("CMD",) and words:
        return words
    if kind == ("CMD-SHELL",) and len(words) == 1:
        return ("/bin/sh", "-c", words[0])
    raise ValueError(f"container {name} has a health check that says {list(test)}, which is no command")


def restart_plan(policy: acs.RestartPolicy | None) -> RestartPlan | None:
    """When the container is started again; None: never."""
    if policy is None or not policy.enabled:
        return None
    period = policy.restart_attempt_period
    return RestartPlan(
        period_s=float(DEFAULT_ATTEMPT_PERIOD_S if period is None else period),
        ignored_codes=policy.ignored_exit_codes,
    )
