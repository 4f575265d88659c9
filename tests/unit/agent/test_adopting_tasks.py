"""What a restarted agent makes of what it finds."""

from __future__ import annotations

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent.machine import Machine
from moorage.agent.spec import ContainerId, ContainerStatus, Exit, Sandbox, SandboxId
from moorage.agent.task import LogPlan

from .world import NOW_S, World, plan

LOG = LogPlan(group="/g", stream="s", region="us-east-1")


def test_a_running_task_goes_on_and_is_told_to_run() -> None:
    world = World()
    task = plan(log=LOG)
    world.run(task)
    world.answer_all()
    world.restart_agent()
    assert world.machine.tasks[task.id].phase == "running"
    assert world.machine.ledger.held == {task.id: task.need}
    assert [report.status for report in world.reports] == ["RUNNING", "RUNNING"]
    assert any(isinstance(command, do.FollowLogs) for command in world.commands[-3:])
    world.answer_all()
    assert len(world.started) == 1


def test_a_container_that_ended_meanwhile_keeps_its_exit_code() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    id_ = task.containers[0].spec.id
    world.containers[id_] = ContainerStatus(id=id_, state="stopped", exit=Exit(code=9, oom_killed=False, at_s=NOW_S))
    world.restart_agent()
    world.answer_all()
    assert world.accepted[-1].status == "STOPPED"
    assert world.accepted[-1].containers[0].exit_code == 9
    assert world.accepted[-1].execution_stopped_at == NOW_S


def test_the_containers_that_had_not_started_are_started() -> None:
    world = World()
    task = plan(1, True, True)
    world.run(task)
    while len(world.started) < 1:
        world.answer()
    world.restart_agent()
    world.answer_all()
    assert world.started == [part.spec.id for part in task.containers]
    assert world.accepted[-1].status == "RUNNING"


def test_a_start_that_was_cut_off_is_made_again() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer()  # the sandbox
    id_ = task.containers[0].spec.id
    world.containers[id_] = ContainerStatus(id=id_, state="created")
    world.restart_agent()
    world.answer_all()
    assert world.started == [id_]
    assert world.accepted[-1].status == "RUNNING"


def test_the_stop_signal_of_the_image_is_still_known() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.machine.tasks[task.id].containers[0].stop_signal = "SIGQUIT"
    world.records[task.id] = world.machine.tasks[task.id].record("boot-1")
    world.restart_agent()
    world.stop(task.id)
    assert [command.signal for command in world.commands if isinstance(command, do.Signal)] == ["SIGQUIT"]


def test_a_restarted_host_ends_every_task() -> None:
    world = World()
    task = plan(1, True, True)
    world.run(task)
    world.answer_all()
    world.restart_agent("boot-2")
    world.answer_all()
    assert world.accepted[-1].status == "STOPPED"
    reasons = {container.reason for container in world.accepted[-1].containers}
    assert reasons == {"ContainerVanishedError: the host was restarted"}


def test_what_is_in_no_record_is_removed() -> None:
    world = World()
    world.sandboxes[SandboxId("f" * 32)] = Sandbox(id=SandboxId("f" * 32))
    id_ = ContainerId("e" * 32 + "-0")
    world.containers[id_] = ContainerStatus(id=id_, state="running", pid=1)
    world.restart_agent()
    assert not world.sandboxes
    assert not world.containers


def test_an_end_that_was_not_acknowledged_is_told_again() -> None:
    world = World()
    task = plan()
    world.run(task)
    world.answer_all()
    world.exit(task.containers[0].spec.id, 4)
    while not any(name == "submit" for name, _ in world.pending):
        world.answer()
    world.restart_agent()
    world.answer_all()
    assert world.accepted[-1].status == "STOPPED"
    assert world.accepted[-1].containers[0].exit_code == 4
    assert not world.records


def test_a_task_whose_record_is_damaged_is_not_begun_again() -> None:
    machine = Machine(World().total)
    task = plan()
    machine.handle(on.Adopted(boot="boot-1", unreadable=(task.id,)), NOW_S)
    commands = machine.handle(on.PayloadReceived(message_id="m", seq_num=1, run=(task,)), NOW_S)
    report = next(command.report for command in commands if isinstance(command, do.Submit))
    assert report.status == "STOPPED"
    assert "lost its record" in report.reason
