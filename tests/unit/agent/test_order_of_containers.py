"""Which container starts when, which ends when, and who gives up waiting."""

from __future__ import annotations

from moorage.agent.task import Dependency, HealthPlan, TaskPlan
from moorage.model.task_definition import Condition

from .world import World, plan, with_containers

HEALTH = HealthPlan(command=("check",), interval_s=5.0, timeout_s=2.0, retries=1)


def on(index: int, condition: Condition = "START") -> tuple[Dependency, ...]:
    return (Dependency(index=index, condition=condition),)


def pair(condition: Condition, **more: object) -> TaskPlan:
    """The first, essential container waits for the second, which is not essential."""
    return with_containers(plan(1, True, False), {"depends_on": on(1, condition)}, more)


def begun(task: TaskPlan) -> World:
    """The task, as far as it comes by itself."""
    world = World()
    world.run(task)
    world.answer_all()
    return world


def names(world: World) -> str:
    return "".join(id_[-1] for id_ in world.started)


def test_a_dependency_starts_first_whatever_the_definitions_order() -> None:
    task = with_containers(plan(1, True, True, True), {"depends_on": on(2)}, {}, {"depends_on": on(1)})
    assert names(begun(task)) == "120"


def test_success_is_waited_for_and_the_task_is_pending_meanwhile() -> None:
    task = pair("SUCCESS")
    world = begun(task)
    assert names(world) == "1"
    assert [report.status for report in world.accepted] == ["PENDING"]
    assert [container.status for container in world.accepted[-1].containers] == ["PENDING", "RUNNING"]
    world.exit(task.containers[1].spec.id, 0)
    world.answer_all()
    assert names(world) == "10"
    assert world.accepted[-1].status == "RUNNING"


def test_a_failure_in_place_of_success_ends_the_waiting_with_143() -> None:
    task = pair("SUCCESS")
    world = begun(task)
    world.exit(task.containers[1].spec.id, 5)
    world.answer_all()
    waited = world.accepted[-1].containers[0]
    assert (world.accepted[-1].status, waited.exit_code, waited.runtime_id) == ("STOPPED", 143, "")
    assert waited.reason == (
        "CannotStartContainerError: dependency graph: dependency c1 ended with exit code 5, waited for SUCCESS"
    )


def test_any_exit_code_completes() -> None:
    task = pair("COMPLETE")
    world = begun(task)
    world.exit(task.containers[1].spec.id, 5)
    world.answer_all()
    assert names(world) == "10"


def test_an_end_that_nobody_saw_completes_nothing() -> None:
    task = pair("COMPLETE")
    world = begun(task)
    world.exit(task.containers[1].spec.id, None)
    world.answer_all()
    assert "ended without an exit code" in world.accepted[-1].containers[0].reason


def test_one_that_could_not_start_satisfies_start_alone() -> None:
    for task, ran in ((pair("START"), True), (pair("COMPLETE"), False)):
        world = World()
        world.run(task)
        world.answer_all(fails="start")
        assert ("0" in names(world)) == ran


def test_health_is_waited_for() -> None:
    task = pair("HEALTHY", health=HEALTH)
    world = begun(task)
    world.fire("health")
    world.answer_all()
    assert names(world) == "1"
    world.well.add(task.containers[1].spec.id)
    world.fire("health")
    world.answer_all()
    assert names(world) == "10"


def test_a_start_timeout_ends_the_waiting_and_not_what_was_waited_for() -> None:
    task = pair("HEALTHY", health=HEALTH, start_timeout_s=30.0)
    world = begun(task)
    assert [command.after_s for command in world.timer_commands("await")] == [30.0]
    world.sleep(29.0)
    world.fire("health")
    world.answer_all()
    assert world.machine.tasks[task.id].phase == "starting"
    world.sleep(1.0)
    world.fire("await")
    world.answer_all()
    assert "within its start timeout of 30 s" in world.accepted[-1].containers[0].reason


def test_the_start_timeout_runs_on_while_no_agent_does() -> None:
    task = pair("SUCCESS", start_timeout_s=30.0)
    world = begun(task)
    world.sleep(20.0)
    world.restart_agent()
    world.answer_all()
    assert world.timer_commands("await")[-1].after_s == 10.0
    world.sleep(10.0)
    world.fire("await")
    world.answer_all()
    assert world.accepted[-1].containers[0].exit_code == 143


def test_giving_up_passes_on_to_those_that_wait_for_the_one_that_gave_up() -> None:
    task = with_containers(
        plan(1, True, False, False), {"depends_on": on(1, "COMPLETE")}, {"depends_on": on(2, "SUCCESS")}, {}
    )
    world = begun(task)
    world.exit(task.containers[2].spec.id, 1)
    world.answer_all()
    assert [container.exit_code for container in world.accepted[-1].containers] == [143, 143, 1]


def test_containers_end_in_reverse() -> None:
    task = with_containers(plan(1, True, True, True), {}, {"depends_on": on(0)}, {"depends_on": on(1)})
    world = begun(task)
    world.stop(task.id)
    order = []
    while world.pending:
        signals = [command.id[-1] for command in world.signals()]
        assert len(signals) - len(order) <= 1, "two were told to end at once"
        order = signals
        world.answer()
    assert order == ["2", "1", "0"]


def test_one_whose_dependents_never_started_ends_at_once() -> None:
    task = pair("SUCCESS")
    world = begun(task)
    world.stop(task.id)
    assert [command.id[-1] for command in world.signals()] == ["1"]
    world.answer_all()
    assert world.accepted[-1].status == "STOPPED"
    assert world.accepted[-1].containers[0].exit_code is None
