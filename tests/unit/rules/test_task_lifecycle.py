"""How a task moves on what its agent, its user and its loops say."""

from __future__ import annotations

from msgspec.structs import replace

from moorage.model.task import NetworkBinding, Task
from moorage.rules.lifecycle import ContainerReport, TaskReport, abandon, apply_report, request_stop, set_connected
from tests.unit.records import a_container, a_task, an_awsvpc_task

RUNNING = TaskReport(status="RUNNING", containers=(ContainerReport(name="app", status="RUNNING", runtime_id="r1"),))


def exited(code: int, name: str = "app") -> ContainerReport:
    return ContainerReport(name=name, status="STOPPED", exit_code=code)


def running() -> Task:
    return apply_report(a_task(), RUNNING, 10.0)


def test_a_task_that_runs_has_its_start_and_its_containers_told() -> None:
    task = running()
    assert (task.last_status, task.started_at, task.version) == ("RUNNING", 10.0, 2)
    assert (task.containers[0].last_status, task.containers[0].runtime_id) == ("RUNNING", "r1")
    assert task.connectivity_at == 10.0


def test_a_report_that_says_nothing_new_gives_the_same_task() -> None:
    task = running()
    assert apply_report(task, RUNNING, 11.0) is task


def test_an_awsvpc_task_leaves_provisioning_when_its_agent_has_it() -> None:
    assert apply_report(an_awsvpc_task(), TaskReport(status="PENDING"), 1.0).last_status == "PENDING"


def test_a_late_pending_does_not_take_a_running_task_back() -> None:
    task = running()
    assert apply_report(task, TaskReport(status="PENDING"), 11.0) is task


def test_the_exit_of_an_essential_container_ends_the_task() -> None:
    task = apply_report(running(), TaskReport(status="STOPPED", containers=(exited(0),)), 20.0)
    assert (task.last_status, task.desired_status, task.stopped_at) == ("STOPPED", "STOPPED", 20.0)
    assert (task.stop_code, task.stopped_reason) == ("EssentialContainerExited", "Essential container in task exited")
    assert task.containers[0].exit_code == 0


def test_an_essential_exit_reported_ahead_of_the_task_shows_it_stopping() -> None:
    task = a_task(containers=[a_container(), a_container("side", essential=False)])
    task = apply_report(task, TaskReport(status="RUNNING"), 10.0)
    task = apply_report(task, TaskReport(containers=(exited(7),)), 11.0)
    assert (task.last_status, task.desired_status, task.stopping_at) == ("STOPPING", "STOPPED", 11.0)


def test_a_task_runs_on_when_a_container_that_is_not_essential_ends() -> None:
    task = a_task(containers=[a_container(), a_container("init", essential=False)])
    report = TaskReport(
        status="RUNNING", containers=(exited(0, "init"), ContainerReport(name="app", status="RUNNING"))
    )
    task = apply_report(task, report, 10.0)
    assert (task.last_status, task.desired_status) == ("RUNNING", "RUNNING")


def test_two_entries_for_one_container_are_taken_in_their_order() -> None:
    entries = (ContainerReport(name="app", status="RUNNING", runtime_id="r1", exit_code=7), exited(7))
    task = apply_report(a_task(), TaskReport(status="STOPPED", containers=entries), 20.0)
    container = task.containers[0]
    assert (container.last_status, container.exit_code, container.runtime_id) == ("STOPPED", 7, "r1")
    assert task.stop_code == "EssentialContainerExited"


def test_a_running_container_with_an_exit_code_is_not_stopped_yet() -> None:
    entry = ContainerReport(name="app", status="RUNNING", exit_code=3)
    task = apply_report(a_task(), TaskReport(status="RUNNING", containers=(entry,)), 10.0)
    assert (task.containers[0].last_status, task.desired_status) == ("RUNNING", "RUNNING")


def test_an_image_that_cannot_be_pulled_is_the_reason_why_the_task_failed_to_start() -> None:
    reason = "CannotPullContainerError: no such image"
    entry = ContainerReport(name="app", status="STOPPED", reason=reason)
    task = apply_report(a_task(), TaskReport(status="STOPPED", containers=(entry,)), 20.0)
    assert (task.stop_code, task.stopped_reason) == ("TaskFailedToStart", reason)
    assert task.started_at is None


def test_a_task_that_its_agent_cannot_read_failed_to_start_for_that_reason() -> None:
    reason = "UnrecogniedTaskError: Error loading task - volumes"
    task = apply_report(a_task(), TaskReport(status="STOPPED", reason=reason), 20.0)
    assert (task.stop_code, task.stopped_reason) == ("TaskFailedToStart", reason)


def test_a_task_that_never_ran_and_says_nothing_failed_to_start() -> None:
    task = apply_report(a_task(), TaskReport(status="STOPPED"), 20.0)
    assert (task.stop_code, task.stopped_reason) == ("TaskFailedToStart", "Task failed to start")


def test_running_out_of_memory_is_an_exit() -> None:
    reason = "OutOfMemoryError: Container killed due to memory usage"
    entry = ContainerReport(name="app", status="STOPPED", exit_code=137, reason=reason)
    task = apply_report(a_task(), TaskReport(status="STOPPED", containers=(entry,)), 20.0)
    assert task.stop_code == "EssentialContainerExited"
    assert task.containers[0].reason == reason


def test_the_users_reason_survives_the_exit_of_the_containers() -> None:
    task = request_stop(running(), code="UserInitiated", reason="enough", now_s=15.0)
    assert (task.last_status, task.desired_status, task.stopping_at) == ("RUNNING", "STOPPED", 15.0)
    task = apply_report(task, TaskReport(status="STOPPED", containers=(exited(143),)), 20.0)
    assert (task.stop_code, task.stopped_reason) == ("UserInitiated", "enough")


def test_the_first_to_stop_a_task_gives_the_reason() -> None:
    task = request_stop(running(), code="UserInitiated", reason="first", now_s=15.0)
    assert request_stop(task, code="UserInitiated", reason="second", now_s=16.0) is task


def test_a_stopped_task_hears_no_more_reports() -> None:
    task = apply_report(running(), TaskReport(status="STOPPED", containers=(exited(0),)), 20.0)
    assert apply_report(task, RUNNING, 21.0) is task
    assert request_stop(task, code="UserInitiated", reason="late", now_s=22.0) is task


def test_a_task_whose_host_is_lost_is_stopped_at_once() -> None:
    task = abandon(running(), code="InfrastructureHealth", reason="host lost", now_s=30.0)
    assert (task.last_status, task.stop_code, task.stopped_reason) == ("STOPPED", "InfrastructureHealth", "host lost")
    assert (task.containers[0].last_status, task.containers[0].exit_code) == ("STOPPED", None)


def test_a_stop_that_the_user_asked_for_stays_his_when_the_host_is_lost() -> None:
    task = request_stop(running(), code="UserInitiated", reason="enough", now_s=15.0)
    assert abandon(task, code="InfrastructureHealth", reason="lost", now_s=30.0).stop_code == "UserInitiated"


def test_connectivity_tells_the_last_time_of_connecting() -> None:
    task = running()
    away = set_connected(task, False, 40.0)
    assert (away.connected, away.connectivity_at) == (False, 10.0)
    back = set_connected(away, True, 50.0)
    assert (back.connected, back.connectivity_at) == (True, 50.0)
    assert set_connected(back, True, 60.0) is back


def test_ports_that_were_found_are_kept_when_a_later_report_leaves_them_out() -> None:
    bound = NetworkBinding(container_port=80, host_port=32768)
    entry = ContainerReport(name="app", status="RUNNING", network_bindings=(bound,))
    task = apply_report(a_task(), TaskReport(status="RUNNING", containers=(entry,)), 10.0)
    task = apply_report(task, TaskReport(status="STOPPED", containers=(exited(0),)), 20.0)
    assert task.containers[0].network_bindings == (bound,)


def test_containers_that_the_task_does_not_have_are_left_out() -> None:
    report = TaskReport(status="RUNNING", containers=(ContainerReport(name="~internal~pause", status="RUNNING"),))
    assert len(apply_report(a_task(), report, 10.0).containers) == 1


def test_times_of_pulling_are_kept_as_first_told() -> None:
    task = apply_report(a_task(), TaskReport(status="PENDING", pull_started_at=1.0), 3.0)
    task = apply_report(task, TaskReport(status="RUNNING", pull_started_at=9.0, pull_stopped_at=2.0), 3.0)
    assert (task.pull_started_at, task.pull_stopped_at) == (1.0, 2.0)


def test_a_report_on_a_task_that_was_never_pending_counts_from_provisioning() -> None:
    task = replace(a_task(), last_status="PROVISIONING")
    assert apply_report(task, RUNNING, 10.0).last_status == "RUNNING"
