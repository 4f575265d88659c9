"""The checkers of order, restarts and health see what is wrong, in what a simulated run has left."""

from __future__ import annotations

from copy import deepcopy

import pytest
from msgspec.structs import replace

from moorage.agent.spec import ContainerId
from moorage.model.task import Task
from moorage.sim import runs
from moorage.sim.runs import Run
from moorage.sim.world import CALM_S, STORM_S, SimWorld
from moorage.store import Store

History = dict[ContainerId, list[Run]]
END_S = STORM_S + CALM_S


@pytest.fixture(scope="module")
def world() -> SimWorld:
    """A whole run, in which all was well."""
    world = SimWorld(8)
    world.run()
    return world


@pytest.fixture
def history(world: SimWorld) -> History:
    return deepcopy({id_: list(found) for agent in world.agents for id_, found in agent.host.runs.items()})


def running(store: Store, family: str) -> Task:
    return next(task for task in store.view().tasks if task.family == family and task.last_status == "RUNNING")


def of(history: History, task: Task, index: int) -> list[Run]:
    return history[ContainerId(f"{task.id}-{index}")]


def test_a_world_in_which_all_was_well_has_a_clean_history(world: SimWorld, history: History) -> None:
    state = world.server.store.view()
    assert list(runs.out_of_order(state, history)) == []
    assert list(runs.started_too_often(state, history)) == []
    assert list(runs.health_is_untrue(state, history, world.time.now_s())) == []
    assert any(len(found) > 1 for found in history.values())


def test_a_start_before_its_turn_is_seen(world: SimWorld, history: History) -> None:
    store = world.server.store
    for family, index, condition in (("after-0", 0, "SUCCESS"), ("healthy", 1, "HEALTHY"), ("healthy", 0, "START")):
        changed = deepcopy(history)
        of(changed, running(store, family), index)[0].began_s -= 1000.0
        assert any(condition in line for line in runs.out_of_order(store.view(), changed))


def test_an_end_before_its_turn_is_seen(world: SimWorld, history: History) -> None:
    task = running(world.server.store, "healthy")
    of(history, task, 2)[0].signalled_s = world.time.now_s()
    assert any("told to end before" in line for line in runs.out_of_order(world.server.store.view(), history))


def test_a_second_run_without_a_policy_or_against_it_is_seen(world: SimWorld, history: History) -> None:
    store = world.server.store
    for family in ("healthy", "again"):
        changed = deepcopy(history)
        found = of(changed, running(store, family), 0)
        found.insert(0, Run(0.0, ended_s=1.0, code=1))
        assert any("started again" in line for line in runs.started_too_often(store.view(), changed))


def test_health_that_is_told_wrong_is_seen(world: SimWorld, history: History) -> None:
    store, ill = world.server.store, running(world.server.store, "healthy")
    with store.update() as tx:
        tx.tasks.put(replace(ill, containers=tuple(replace(c, health_status="UNKNOWN") for c in ill.containers)))
    said = list(runs.health_is_untrue(store.view(), history, world.time.now_s()))
    with store.update() as tx:
        tx.tasks.put(ill)
    assert len(said) == 2
