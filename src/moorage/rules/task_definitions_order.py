"""In which order a task's containers start, when one counts as healthy, and when one is started again: each setting
checked, defaults filled in.

Source: ECS API, data types ContainerDependency, HealthCheck and ContainerRestartPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final

import msgspec

from moorage.model.task_definition import (
    Condition,
    ContainerDefinition,
    ContainerDependency,
    HealthCheck,
    RestartPolicy,
)
from moorage.rules.task_definitions_draft import ContainerDraft, DependencyDraft, InvalidDefinition

# The bounds and defaults of the API; seconds, but for retries.
INTERVAL_S: Final = range(5, 300 + 1)
TIMEOUT_S: Final = range(2, 60 + 1)
RETRIES: Final = range(1, 10 + 1)
START_PERIOD_S: Final = range(300 + 1)
DEFAULT_INTERVAL_S: Final = 30
DEFAULT_TIMEOUT_S: Final = 5
DEFAULT_RETRIES: Final = 3
ATTEMPT_PERIOD_S: Final = range(60, 1800 + 1)
IGNORED_CODES_MAX: Final = 50

_CONDITIONS: Final[dict[str, Condition]] = {
    "START": "START",
    "COMPLETE": "COMPLETE",
    "SUCCESS": "SUCCESS",
    "HEALTHY": "HEALTHY",
}


def dependencies(name: str, drafts: Sequence[DependencyDraft] | None) -> tuple[ContainerDependency, ...] | None:
    """What a container waits for before it starts. Whether those are there is `check_order`'s question."""
    return None if drafts is None else tuple(_dependency(name, draft) for draft in drafts)


def _dependency(name: str, draft: DependencyDraft) -> ContainerDependency:
    if not draft.container_name:
        raise InvalidDefinition.of(name, "A dependency must name a container.")
    condition = _CONDITIONS.get(draft.condition or "")
    if condition is None:
        raise InvalidDefinition.of(
            name, f"The condition of a dependency must be {', '.join(_CONDITIONS)}, not '{draft.condition or ''}'."
        )
    return ContainerDependency(container_name=draft.container_name, condition=condition)


def health_check(name: str, given: HealthCheck | None) -> HealthCheck | None:
    """With the defaults that it leaves open."""
    if given is None:
        return None
    kind = given.command[0] if given.command else ""
    if kind not in ("CMD", "CMD-SHELL", "NONE"):
        raise InvalidDefinition.of(name, "A health check's command must begin with CMD or CMD-SHELL, or be NONE.")
    if kind == "NONE" and len(given.command) > 1:
        raise InvalidDefinition.of(name, "A health check that is NONE has no command.")
    if kind == "CMD-SHELL" and len(given.command) != 2:
        raise InvalidDefinition.of(name, "A health check's CMD-SHELL is followed by one string, the shell's command.")
    if kind == "CMD" and len(given.command) == 1:
        raise InvalidDefinition.of(name, "A health check's CMD is followed by a program and its arguments.")
    for what, number, bounds in (
        ("interval", given.interval, INTERVAL_S),
        ("timeout", given.timeout, TIMEOUT_S),
        ("retries", given.retries, RETRIES),
        ("startPeriod", given.start_period, START_PERIOD_S),
    ):
        if number is not None and number not in bounds:
            span = f"{bounds.start} and {bounds.stop - 1}"
            raise InvalidDefinition.of(name, f"A health check's '{what}' must be between {span}.")
    return msgspec.structs.replace(
        given,
        interval=DEFAULT_INTERVAL_S if given.interval is None else given.interval,
        timeout=DEFAULT_TIMEOUT_S if given.timeout is None else given.timeout,
        retries=DEFAULT_RETRIES if given.retries is None else given.retries,
    )


def check_restarts(name: str, policy: RestartPolicy | None) -> None:
    """A policy as it is given is told as it is given; the agent knows the default period."""
    if policy is None:
        return
    if len(policy.ignored_exit_codes or ()) > IGNORED_CODES_MAX:
        raise InvalidDefinition.of(name, f"A restart policy can ignore at most {IGNORED_CODES_MAX} exit codes.")
    period = policy.restart_attempt_period
    if period is not None and period not in ATTEMPT_PERIOD_S:
        span = f"{ATTEMPT_PERIOD_S.start} and {ATTEMPT_PERIOD_S.stop - 1}"
        raise InvalidDefinition.of(name, f"A restart policy's 'restartAttemptPeriod' must be between {span} seconds.")


def check_timeouts(name: str, draft: ContainerDraft) -> None:
    """Neither may be negative; a start that nobody would wait for is none."""
    if draft.start_timeout is not None and draft.start_timeout < 1:
        raise InvalidDefinition.of(name, "'startTimeout' must be at least 1 second.")
    if draft.stop_timeout is not None and draft.stop_timeout < 0:
        raise InvalidDefinition.of(name, "'stopTimeout' must not be negative.")


def check_order(containers: Sequence[ContainerDefinition]) -> None:
    """Every dependency is there and can come true, and there is a first container."""
    by_name = {container.name: container for container in containers}
    for container in containers:
        for dependency in container.depends_on or ():
            fault = _fault(container, dependency, by_name.get(dependency.container_name))
            if fault:
                raise InvalidDefinition.of(container.name, fault)
    try:
        TopologicalSorter({one.name: list(_names(one)) for one in containers}).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise InvalidDefinition(f"The dependencies of containers form a circle: {circle}.") from error


def _names(container: ContainerDefinition) -> Iterator[str]:
    """Those it depends on by its own word, by a link, or because it has their volumes."""
    yield from (dependency.container_name for dependency in container.depends_on or ())
    yield from (link.partition(":")[0] for link in container.links or ())
    yield from (lender.source_container for lender in container.volumes_from)


def _fault(
    container: ContainerDefinition, dependency: ContainerDependency, on: ContainerDefinition | None
) -> str | None:
    if on is None:
        return f"It depends on '{dependency.container_name}', which is not in the task definition."
    if on is container:
        return "It depends on itself."
    if dependency.condition in ("COMPLETE", "SUCCESS") and on.essential:
        return f"The condition {dependency.condition} cannot be set on the essential container '{on.name}'."
    if dependency.condition == "HEALTHY" and not (on.health_check and on.health_check.checks):
        return f"The condition HEALTHY needs a health check of the container '{on.name}'."
    return None
