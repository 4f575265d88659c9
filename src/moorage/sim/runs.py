"""What a simulated host remembers of every run of every container, and what must be true of it: order, restarts, and
the health that the platform tells. Checks give sentences, none when all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from moorage.agent.spec import ContainerId
from moorage.model.task import Task
from moorage.model.task_definition import (
    DEFAULT_ATTEMPT_PERIOD_S,
    ContainerDefinition,
    ContainerDependency,
    TaskDefinition,
)
from moorage.store import State

# A check is late by its interval, by the time that a step may take, and by its publication.
HEALTH_LATE_S: Final = 30.0


@dataclass(eq=False)
class Run:
    """One run of a container, from its start to its end."""

    began_s: float
    signalled_s: float | None = None
    ended_s: float | None = None
    code: int | None = None


Runs = Mapping[ContainerId, Sequence[Run]]


def out_of_order(state: State, runs: Runs) -> Iterator[str]:
    """No container began before its dependencies let it, none was told to end while others depended on it."""
    for task, definition in _defined(state):
        places = {part.name: index for index, part in enumerate(definition.containers)}
        for index, part in enumerate(definition.containers):
            own = runs.get(_id(task, index), ())
            for dependency in part.depends_on or () if own else ():
                place = places[dependency.container_name]
                others = runs.get(_id(task, place), ())
                if not _was_met(dependency, definition.containers[place], others, own[0].began_s):
                    yield f"{_id(task, index)} began before {dependency.condition} of {dependency.container_name}"
                told = [run.signalled_s for run in others if run.signalled_s is not None]
                if told and (own[-1].ended_s is None or own[-1].ended_s > min(told)):
                    yield f"{dependency.container_name} of {task.id} was told to end before {part.name} had ended"


def _was_met(
    dependency: ContainerDependency, part: ContainerDefinition, others: Sequence[Run], began_s: float
) -> bool:
    if dependency.condition == "START":  # one that could not start is as good, for this
        return not others or others[0].began_s <= began_s
    if dependency.condition == "HEALTHY":
        return any(began_s - run.began_s >= (_well_after_s(part) or 0.0) for run in others)
    ended = [run.code for run in others if run.ended_s is not None and run.ended_s <= began_s]
    return bool(ended) and (ended[-1] == 0 if dependency.condition == "SUCCESS" else ended[-1] is not None)


def started_too_often(state: State, runs: Runs) -> Iterator[str]:
    """A container ran once more only where its policy says so of the run before."""
    for task, definition in _defined(state):
        for index, part in enumerate(definition.containers):
            policy = part.restart_policy
            for before, _ in pairwise(runs.get(_id(task, index), ())):
                if policy is None or before.ended_s is None or before.code is None or before.signalled_s is not None:
                    yield f"{_id(task, index)} was started again"
                    continue
                period_s = policy.restart_attempt_period or DEFAULT_ATTEMPT_PERIOD_S
                ignored = before.code in (policy.ignored_exit_codes or ())
                if ignored or before.ended_s - before.began_s < period_s - 1.0:  # its start took a moment to be told
                    yield f"{_id(task, index)} was started again against its policy"


def health_is_untrue(state: State, runs: Runs, now_s: float) -> Iterator[str]:
    """Once quiet, what the state says of the health of running containers is what their checks would say."""
    for task, definition in _defined(state):
        for index, part in enumerate(definition.containers):
            last = next(reversed(runs.get(_id(task, index), ())), None)
            if part.health_check is None or last is None or last.ended_s is not None:
                continue
            well_after_s = _well_after_s(part)
            if now_s - last.began_s < (well_after_s or 0.0) + HEALTH_LATE_S:
                continue
            expected = "UNHEALTHY" if well_after_s is None else "HEALTHY"
            told = task.containers[index].health_status
            if told != expected:
                yield f"{_id(task, index)} is {expected} and told to be {told}"


def _defined(state: State) -> Iterator[tuple[Task, TaskDefinition]]:
    for task in state.tasks:
        definition = state.task_definitions.get(task.task_definition)
        if definition is not None:
            yield task, definition


def _id(task: Task, index: int) -> ContainerId:
    return ContainerId(f"{task.id}-{index}")


def _well_after_s(part: ContainerDefinition) -> float | None:
    """After how many seconds of running a simulated check succeeds; None: never."""
    words = part.health_check.command if part.health_check else ()
    return float(words[2]) if words[1:2] == ("after",) else None
