"""Health: when it is looked at, how it is judged, what is told, and what an agent's restart leaves of it."""

from __future__ import annotations

from moorage.agent import events as on
from moorage.agent.health import OUTPUT_MAX_CHARS, judged
from moorage.agent.health_report import health_messages
from moorage.agent.spec import CheckResult
from moorage.agent.task import Health, HealthPlan, TaskPlan

from .world import NOW_S, World, plan, with_containers

PLAN = HealthPlan(command=("check",), interval_s=10.0, timeout_s=2.0, retries=3, start_period_s=60.0)
WELL, ILL = CheckResult(exit_code=0, output="fine"), CheckResult(exit_code=1, output="no")


def after(*results: CheckResult, ran_s: float = 100.0) -> Health:
    health = Health(since_s=NOW_S)
    for number, result in enumerate(results, 1):
        health = judged(health, PLAN, result, ran_s, NOW_S + number)
    return health


def running(number: int = 1, retries: int = 1) -> tuple[World, TaskPlan]:
    world = World()
    health = HealthPlan(command=("check",), interval_s=10.0, timeout_s=2.0, retries=retries)
    task = with_containers(plan(number), {"health": health})
    world.run(task)
    world.answer_all()
    return world, task


def look(world: World, *, well: bool = False) -> str:
    """One check; the status after it."""
    (task,) = world.machine.tasks.values()
    world.well = {task.containers[0].plan.spec.id} if well else set()
    world.fire("health")
    world.answer_all()
    assert task.containers[0].health is not None
    return task.containers[0].health.status


def test_one_success_is_health() -> None:
    assert after(WELL).status == "HEALTHY"
    assert after(ILL, ILL, WELL).status == "HEALTHY"


def test_as_many_failures_in_a_row_as_there_are_retries_are_illness() -> None:
    assert [after(*[ILL] * count).status for count in (1, 2, 3, 9)] == [
        "UNKNOWN",
        "UNKNOWN",
        "UNHEALTHY",
        "UNHEALTHY",
    ]
    assert after(WELL, ILL, ILL, WELL, ILL, ILL).status == "HEALTHY"
    assert after(WELL, ILL, ILL, ILL).status == "UNHEALTHY"


def test_failures_in_the_start_period_count_only_after_a_success() -> None:
    assert after(*[ILL] * 5, ran_s=59.0).status == "UNKNOWN"
    assert after(*[ILL] * 5, ran_s=59.0).failures == 0
    assert after(WELL, ILL, ILL, ILL, ran_s=59.0).status == "UNHEALTHY"


def test_a_status_is_as_old_as_its_last_change() -> None:
    assert after(WELL, WELL, WELL).since_s == NOW_S + 1
    assert after(WELL, ILL, ILL, ILL, ILL).since_s == NOW_S + 4


def test_output_is_cut_and_a_check_that_hung_has_no_code() -> None:
    hung = after(CheckResult(exit_code=None, output="x" * 5000))
    assert (hung.exit_code, len(hung.output)) == (None, OUTPUT_MAX_CHARS)


def test_the_first_check_is_one_interval_after_the_start_and_each_other_one_after_the_last_ones_end() -> None:
    world, _ = running()
    assert [command.after_s for command in world.timer_commands("health")] == [10.0]
    world.fire("health")
    assert len(list(world.timer_commands("health"))) == 1
    world.answer_all()
    assert len(list(world.timer_commands("health"))) == 2


def test_a_change_is_published_at_once_and_no_change_is_not() -> None:
    world, _ = running()
    assert look(world, well=True) == "HEALTHY"
    assert look(world, well=True) == "HEALTHY"
    assert world.published == 1
    assert look(world) == "UNHEALTHY"
    assert world.published == 2


def test_health_is_kept_by_the_next_agent() -> None:
    world, _ = running(retries=2)
    look(world, well=True)
    world.restart_agent()
    (task,) = world.machine.tasks.values()
    assert task.containers[0].health is not None
    assert task.containers[0].health.status == "HEALTHY"
    assert look(world) == "HEALTHY"
    assert look(world) == "UNHEALTHY"


def test_an_unhealthy_task_runs_on() -> None:
    world, task = running()
    assert look(world) == "UNHEALTHY"
    assert world.machine.tasks[task.id].phase == "running"
    assert [report.status for report in world.accepted] == ["RUNNING"]


def test_a_check_that_comes_back_after_the_end_says_nothing() -> None:
    world, task = running()
    world.fire("health")
    check = next(number for number, (name, _) in enumerate(world.pending) if name == "check")
    world.exit(task.containers[0].spec.id, 0)
    world.answer(check)
    world.answer_all()
    assert not world.machine.tasks


def test_a_round_tells_of_all_that_are_checked_ten_tasks_a_message() -> None:
    world = World()
    health = HealthPlan(command=("check",), interval_s=10.0, timeout_s=2.0, retries=1)
    world.run(*(with_containers(plan(n, cpu=1, memory=1), {"health": health}) for n in range(1, 13)))
    world.run(plan(99, cpu=1, memory=1))
    world.answer_all()
    world.feed(on.SessionOpened())
    messages = health_messages(world.machine.tasks.values(), "lab", "arn:i", "round-1", NOW_S)
    assert [len(message.tasks) for message in messages] == [10, 2]
    assert [message.metadata.fin for message in messages] == [False, True]
    told = messages[0].tasks[0].containers[0]
    assert (told.container_name, told.health_status, told.status_since) == ("c0", "UNKNOWN", NOW_S)
