"""From a payload to RUNNING."""

from __future__ import annotations

from moorage.agent import commands as do
from moorage.agent.spec import PortBinding
from moorage.agent.task import LogPlan
from moorage.model.container_instance import Resources

from .world import IMAGE, NOW_S, World, plan

LOG = LogPlan(group="/g", stream="s", region="us-east-1")


def kinds(commands: list[do.Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def test_the_record_is_written_before_the_acknowledgement_and_before_anything_is_made() -> None:
    world = World()
    commands = world.run(plan())
    assert kinds(commands) == ["SaveTask", "Ack", "MakeSandbox", "Pull", "SetTimer"]


def test_sandbox_images_and_log_streams_are_prepared_at_once() -> None:
    world = World()
    commands = world.run(plan(1, True, False, log=LOG))
    assert kinds(commands)[2:] == ["MakeSandbox", "Pull", "Pull", "PrepareLogs", "SetTimer"]


def test_containers_start_one_after_the_other_in_their_order() -> None:
    world = World()
    task = plan(1, True, True, True)
    world.run(task)
    world.answer_all()
    assert world.started == [part.spec.id for part in task.containers]


def test_a_container_waits_for_the_one_before_it() -> None:
    world = World()
    world.run(plan(1, True, True))
    while not any(name == "start" for name, _ in world.pending):
        world.answer()
    assert [name for name, _ in world.pending] == ["start"]


def test_running_is_reported_once_all_containers_run() -> None:
    world = World()
    world.run(plan(1, True, True))
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING"]
    report = world.accepted[0]
    assert [container.status for container in report.containers] == ["RUNNING", "RUNNING"]
    assert [container.digest for container in report.containers] == [IMAGE.digest] * 2
    assert report.pull_started_at == report.pull_stopped_at == NOW_S


def test_the_host_ports_that_were_found_are_reported_with_their_container() -> None:
    world = World()
    task = plan(1, True, True)
    binding = PortBinding(container="c1", container_port=80, host_port=32768)
    task = task.__class__(
        arn=task.arn,
        id=task.id,
        cluster=task.cluster,
        containers=task.containers,
        sandbox=task.sandbox.__class__(id=task.id, network_mode="bridge", isolation="namespaces", ports=(binding,)),
    )
    world.run(task)
    world.answer_all()
    assert [container.ports for container in world.accepted[0].containers] == [(), (binding,)]


def test_a_slow_pull_is_told_as_pending() -> None:
    world = World()
    world.run(plan())
    world.fire("slow")
    assert [report.status for report in world.reports] == ["PENDING"]


def test_a_payload_that_comes_twice_starts_one_task() -> None:
    world = World()
    world.run(plan())
    world.answer_all()
    assert kinds(world.run(plan(), message="m-2")) == ["Ack"]


def test_a_payload_for_a_task_that_has_ended_does_not_start_it_again() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.stop(task.id)
    world.answer_all()
    assert not world.machine.tasks
    assert kinds(world.run(task, message="m-3")) == ["Ack"]


def test_tasks_wait_for_room_in_the_order_of_their_arrival() -> None:
    world = World(Resources(cpu=1024, memory=4096))
    first, large, small = plan(1, cpu=768), plan(2, cpu=1024), plan(3, cpu=256)
    world.run(first, large, small)
    world.answer_all()
    assert set(world.machine.ledger.held) == {first.id}
    world.stop(first.id)
    world.answer_all()
    assert set(world.machine.ledger.held) == {large.id}
    world.stop(large.id)
    world.answer_all()
    assert set(world.machine.ledger.held) == {small.id}


def test_a_task_waits_for_the_host_port_that_an_ending_task_still_holds() -> None:
    world = World()
    old, new = plan(1, ports=(80,)), plan(2, ports=(80,))
    world.run(old)
    world.answer_all()
    world.run(new, message="m-2", seq_num=2)
    assert world.pending == []
    world.stop(old.id)
    world.answer_all()
    assert world.machine.tasks[new.id].phase == "running"


def test_a_task_that_never_fits_the_host_is_ended_at_once() -> None:
    world = World()
    world.run(plan(1, cpu=999_999))
    world.answer_all()
    assert [report.status for report in world.accepted] == ["STOPPED"]
    assert "999999 cpu units" in world.accepted[0].reason
    assert not world.records
