"""Containers that are started again: when, when not, and what an agent's death in between changes."""

from __future__ import annotations

import pytest

from moorage.agent import events as on
from moorage.agent.spec import ContainerId, Exit
from moorage.agent.task import HealthPlan, RestartPlan, TaskPlan

from .world import World, plan, with_containers

POLICY = RestartPlan(period_s=60.0, ignored_codes=(9,))


def running(**more: object) -> tuple[World, TaskPlan, ContainerId]:
    world = World()
    task = with_containers(plan(), {"restart": POLICY} | more)
    world.run(task)
    world.answer_all()
    world.sleep(60.0)
    return world, task, task.containers[0].spec.id


def test_it_is_started_again_and_nobody_is_told() -> None:
    world, task, container = running()
    for count in (1, 2, 3):
        world.exit(container, 1)
        world.answer_all()
        world.sleep(60.0)
        life = world.machine.tasks[task.id].containers[0]
        assert (life.phase, life.restarts) == ("running", count)
    assert world.restarted == [container] * 3
    assert [report.status for report in world.accepted] == ["RUNNING"]


def test_its_log_is_followed_once() -> None:
    world, _, container = running()
    world.exit(container, 1)
    world.answer_all()
    assert len([command for command in world.commands if type(command).__name__ == "FollowLogs"]) == 0


@pytest.mark.parametrize(("code", "ran_s"), [(1, -0.5), (9, 0.0), (None, 0.0)])
def test_it_ends_when_it_ran_too_short_or_its_code_is_ignored_or_unknown(code: int | None, ran_s: float) -> None:
    world, task, container = running()
    world.sleep(ran_s)
    world.exit(container, code)
    world.answer_all()
    assert world.restarted == []
    assert world.accepted[-1].containers[0].exit_code == code
    assert task.id not in world.machine.tasks


def test_the_period_is_counted_from_the_last_restart() -> None:
    world, _, container = running()
    world.exit(container, 1)
    world.answer_all()
    world.sleep(59.0)
    world.exit(container, 2)
    world.answer_all()
    assert world.restarted == [container]
    assert world.accepted[-1].containers[0].exit_code == 2


def test_one_that_was_told_to_end_is_not_started_again() -> None:
    world, task, _ = running()
    world.stop(task.id)
    world.answer_all()
    assert world.restarted == []
    assert world.accepted[-1].containers[0].exit_code == 143


def test_a_stop_in_the_middle_of_a_restart_ends_the_new_run() -> None:
    world, task, container = running()
    world.exit(container, 1)
    world.stop(task.id)
    assert not world.signals()
    world.answer_all()
    assert world.restarted == [container]
    assert world.accepted[-1].containers[0].exit_code == 143


def test_a_restart_that_fails_leaves_the_end_before_it_and_the_reason() -> None:
    world, _, container = running()
    world.exit(container, 7)
    world.answer_all(fails="restart")
    told = world.accepted[-1].containers[0]
    assert (told.exit_code, told.reason) == (7, "CannotStartContainerError: no")


def test_the_same_end_told_again_is_not_the_end_of_the_next_run() -> None:
    world, task, container = running()
    end = Exit(code=1, oom_killed=False, at_s=world.now_s)
    world.exit(container, 1)
    world.answer_all()
    world.feed(on.ContainerExited(id=container, exit=end))
    world.answer_all()
    assert world.machine.tasks[task.id].containers[0].phase == "running"


@pytest.mark.parametrize("happened", [True, False])
def test_a_restart_that_the_agents_death_cut_short_is_gone_on_with(happened: bool) -> None:
    world, task, container = running()
    world.exit(container, 1)
    assert [name for name, _ in world.pending] == ["restart"]
    world.restart_agent(happens=[happened])
    world.answer_all()
    life = world.machine.tasks[task.id].containers[0]
    assert (life.phase, life.restarts) == ("running", 1)
    assert world.restarted == [container]


def test_an_end_while_no_agent_ran_is_judged_by_when_it_was() -> None:
    world, task, container = running()
    world.ends_unseen(container, 1)
    world.sleep(600.0)
    world.restart_agent()
    world.answer_all()
    assert world.machine.tasks[task.id].containers[0].restarts == 1
    world.sleep(1.0)
    world.ends_unseen(container, 2)
    world.sleep(600.0)
    world.restart_agent()
    world.answer_all()
    assert world.accepted[-1].containers[0].exit_code == 2


def test_a_host_that_was_restarted_starts_nothing_again() -> None:
    world, _, _ = running()
    world.restart_agent("boot-2")
    world.answer_all()
    assert world.restarted == []
    assert world.accepted[-1].status == "STOPPED"


def test_health_begins_anew_with_each_run() -> None:
    health = HealthPlan(command=("check",), interval_s=5.0, timeout_s=2.0, retries=1)
    world, task, container = running(health=health)
    world.well.add(container)
    world.fire("health")
    world.answer_all()
    life = world.machine.tasks[task.id].containers[0]
    assert life.health is not None
    assert life.health.status == "HEALTHY"
    world.exit(container, 1)
    world.answer_all()
    assert life.health.status == "UNKNOWN"
    assert world.published == 2
    old, new = (timer for timer in world.timers if timer.timer == "health")
    world.feed(old)
    assert not world.pending, "a timer of the run before began a check"
    world.feed(new)
    assert [name for name, _ in world.pending] == ["check"]
