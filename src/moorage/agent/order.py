"""In which order a task's containers start and end. Pure: from what is known of them to who may go next.

A container starts once each of its dependencies has come to what it waits for, and is asked to end once those that
depend on it have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from moorage.agent.life import ContainerLife
from moorage.agent.task import Dependency

# A dependent that gave up waiting ends with it, as under the published agent.
GAVE_UP_CODE: Final = 143
_PREFIX: Final = "CannotStartContainerError: dependency graph: "


class GaveUp(msgspec.Struct, frozen=True):
    """A container can never start any more, and why."""

    reason: str


Gate = Literal["open", "closed"] | GaveUp


def gate(containers: Sequence[ContainerLife], index: int, now_s: float) -> Gate:
    """Whether the container at `index` may start, has to wait, or has waited in vain."""
    answer: Gate = "open"
    for dependency in containers[index].plan.depends_on:
        on = containers[dependency.index]
        if _is_met(on, dependency):
            continue
        why = _never(on, dependency) or _too_late(on, dependency, now_s)
        if why:
            return GaveUp(_PREFIX + why)
        answer = "closed"
    return answer


def _is_met(on: ContainerLife, dependency: Dependency) -> bool:
    code = on.exit.code if on.phase == "stopped" and on.exit and on.ever_started else None
    if dependency.condition == "START":
        return on.phase in ("running", "restarting", "stopped")
    if dependency.condition == "COMPLETE":
        return code is not None
    if dependency.condition == "SUCCESS":
        return code == 0
    return on.phase == "running" and on.health is not None and on.health.status == "HEALTHY"


def _never(on: ContainerLife, dependency: Dependency) -> str:
    """Why a condition that is not met never will be; "" where it still may."""
    if on.phase != "stopped":
        return ""
    name = on.plan.spec.name
    if not on.ever_started:
        return f"dependency {name} never started, waited for {dependency.condition}"
    code = on.exit.code if on.exit else None
    how = "ended without an exit code" if code is None else f"ended with exit code {code}"
    return f"dependency {name} {how}, waited for {dependency.condition}"


def _too_late(on: ContainerLife, dependency: Dependency, now_s: float) -> str:
    """The time that a container has to come to what others wait for runs from its start."""
    timeout_s, began_s = on.plan.start_timeout_s, on.started_at
    if timeout_s is None or began_s is None or now_s - began_s < timeout_s:
        return ""
    name, condition = on.plan.spec.name, dependency.condition
    return f"dependency {name} did not come to {condition} within its start timeout of {timeout_s:.0f} s"


def is_needed(containers: Sequence[ContainerLife], index: int) -> bool:
    """Whether a container that has not ended depends on the one at `index`."""
    return any(
        other.phase != "stopped" and any(dependency.index == index for dependency in other.plan.depends_on)
        for other in containers
    )


def is_awaited(containers: Sequence[ContainerLife], index: int) -> bool:
    """Whether a container that has not started waits for more than the start of the one at `index`."""
    return any(
        other.phase == "new" and any(one.index == index and one.condition != "START" for one in other.plan.depends_on)
        for other in containers
    )
