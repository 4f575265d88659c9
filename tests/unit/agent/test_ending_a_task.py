"""How tasks end: asked to, by an essential container, by a failure; at every point of their life."""

from __future__ import annotations

import pytest

from moorage.agent import commands as do
from moorage.agent.task import LogPlan, Report

from .world import NOW_S, World, plan

LOG = LogPlan(group="/g", stream="s", region="us-east-1")


def signals(world: World) -> list[tuple[str, str]]:
    return [(command.id[-1], command.signal) for command in world.commands if isinstance(command, do.Signal)]


def last(world: World) -> Report:
    assert not world.machine.tasks, "the task has not ended"
    assert not world.sandboxes
    assert not world.records
    return world.accepted[-1]


def test_an_essential_exit_stops_the_others_and_reports_both_codes() -> None:
    world = World()
    task = plan(1, True, False)
    world.run(task)
    world.answer_all()
    world.exit(task.containers[0].spec.id, 7)
    world.answer_all()
    assert signals(world) == [("1", "SIGTERM")]
    report = last(world)
    assert [(c.status, c.exit_code) for c in report.containers] == [("STOPPED", 7), ("STOPPED", 143)]
    assert report.execution_stopped_at == NOW_S


def test_the_end_of_a_container_that_is_not_essential_is_told_and_the_task_goes_on() -> None:
    world = World()
    task = plan(1, True, False)
    world.run(task)
    world.answer_all()
    world.exit(task.containers[1].spec.id, 3)
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING", "RUNNING"]
    assert world.accepted[-1].containers[1].exit_code == 3
    assert world.machine.tasks[task.id].phase == "running"


def test_a_container_that_ignores_its_signal_is_killed_after_its_stop_timeout() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.stop(task.id)
    timer = next(c for c in world.commands if isinstance(c, do.SetTimer) and c.timer == "kill")
    assert timer.after_s == 30.0
    world.answer(fails=True)  # the signal has no effect
    world.fire("kill")
    world.answer_all()
    assert signals(world) == [("0", "SIGTERM"), ("0", "SIGKILL")]
    assert last(world).containers[0].exit_code == 137


def test_out_of_memory_is_named() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.exit(task.containers[0].spec.id, 137, oom=True)
    world.answer_all()
    assert last(world).containers[0].reason == "OutOfMemoryError: Container killed due to memory usage"


def test_a_short_container_is_told_to_have_run() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.exit(task.containers[0].spec.id, 0)
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING", "STOPPED"]


@pytest.mark.parametrize("answers", range(6))
def test_a_stop_at_any_point_of_the_start_leaves_nothing(answers: int) -> None:
    world = World()
    task = plan(1, True, True, log=LOG)
    world.run(task)
    for _ in range(answers):
        world.answer()
    world.stop(task.id)
    world.answer_all()
    assert last(world).status == "STOPPED"


def test_a_task_that_is_stopped_while_it_is_pulled_does_not_wait_for_the_pull() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.stop(task.id)
    names = [name for name, _ in world.pending]
    world.answer(names.index("sandbox"))
    assert [name for name, _ in world.pending] == ["pull", "dismantle"]


def test_a_task_that_waits_for_room_ends_without_anything_being_made() -> None:
    world = World()
    first, second = plan(1, cpu=2048), plan(2, cpu=2048)
    world.run(first, second)
    world.stop(second.id)
    made = [command.spec.id for command in world.commands if isinstance(command, do.MakeSandbox)]
    assert made == [first.id]
    assert second.id in {report.task for report in world.reports if report.status == "STOPPED"}


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("pull", "CannotPullContainerError: no"),
        ("start", "CannotStartContainerError: no"),
    ],
)
def test_an_essential_container_that_cannot_start_ends_the_task_with_its_reason(step: str, reason: str) -> None:
    world = World()
    world.run(plan())
    world.answer_all(fails=step)
    report = last(world)
    assert report.containers[0].reason == reason
    assert report.containers[0].exit_code is None


@pytest.mark.parametrize("step", ["sandbox", "logs"])
def test_a_failed_preparation_is_the_reason_of_task_and_containers(step: str) -> None:
    world = World()
    world.run(plan(1, True, False, log=LOG))
    world.answer_all(fails=step)
    report = last(world)
    assert report.reason == "ResourceInitializationError: no"
    assert {container.reason for container in report.containers} == {report.reason}


def test_a_container_that_is_not_essential_may_fail_to_start() -> None:
    world = World()
    task = plan(1, False, True)
    world.run(task)
    world.answer_all(fails="pull")
    assert world.machine.tasks[task.id].phase == "running"
    assert world.accepted[-1].containers[0].status == "STOPPED"


def test_stopped_is_told_only_after_the_sandbox_is_gone() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.stop(task.id)
    world.answer()  # the signal, and with it the exit
    assert [name for name, _ in world.pending] == ["dismantle"]
    world.answer(fails=True)
    assert world.pending == []
    world.fire("dismantle")
    world.answer()
    assert world.reports[-1].status == "STOPPED"
    assert not world.sandboxes


def test_logs_are_flushed_before_the_container_is_removed() -> None:
    world = World()
    task = plan(log=LOG)
    world.run(task)
    world.answer_all()
    world.exit(task.containers[0].spec.id)
    assert [name for name, _ in world.pending] == ["flush"]
    world.answer()
    assert [name for name, _ in world.pending] == ["dismantle"]


def test_an_end_that_nobody_told_is_found_by_looking() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    id_ = task.containers[0].spec.id
    del world.containers[id_]
    world.feed(world._inspect(do.Inspect(ids=(id_,))))
    world.answer_all()
    container = last(world).containers[0]
    assert container.exit_code is None
    assert container.reason.startswith("ContainerVanishedError: ")
