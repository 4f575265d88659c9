"""What agents report, from the request to the record."""

from __future__ import annotations

from dataclasses import replace as with_

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.errors import InvalidParameter
from moorage.api.ecs.task_reports import (
    AttachmentStateChange,
    ContainerStateChange,
    SubmitAttachmentStateChangesRequest,
    SubmitContainerStateChangeRequest,
    SubmitTaskStateChangeRequest,
    submit_attachment_state_changes,
    submit_container_state_change,
    submit_task_state_change,
)
from moorage.base.ids import AccountId, Scope
from moorage.link.payload import attachment_arn
from moorage.model.task import Task
from moorage.model.task_definition import ContainerDefinition, PortMapping
from tests.unit.records import INSTANCE, a_cluster, a_definition, a_task, an_awsvpc_task, an_instance, an_interface
from tests.unit.support import REGION, make_call

RUNNING = ContainerStateChange(container_name="app", status="RUNNING", runtime_id="r1")
STOPPED = ContainerStateChange(container_name="app", status="STOPPED", exit_code=3)


def a_call(task: Task) -> Call:
    call = make_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.container_instances.put(an_instance())
        tx.task_definitions.put(
            a_definition(ContainerDefinition(name="app", image="i", port_mappings=(PortMapping(container_port=80),)))
        )
        tx.network_interfaces.put(replace(an_interface(), status="pending"))
        tx.tasks.put(task)
    return call


def the_task(call: Call) -> Task:
    (task,) = call.store.view().tasks
    return task


def report(task: Task, status: str, *containers: ContainerStateChange) -> SubmitTaskStateChangeRequest:
    return SubmitTaskStateChangeRequest(cluster="default", task=task.arn, status=status, containers=containers)


def test_a_running_task_is_told_with_what_runs_in_it() -> None:
    call = a_call(a_task())
    answer = submit_task_state_change(call, report(a_task(), "RUNNING", RUNNING))
    assert answer.acknowledgment == "ACK"
    task = the_task(call)
    assert (task.last_status, task.started_at, task.containers[0].runtime_id) == ("RUNNING", call.now_s, "r1")


def test_a_task_may_be_named_by_its_id() -> None:
    call = a_call(a_task())
    submit_task_state_change(call, replace(report(a_task(), "RUNNING"), task=a_task().id))
    assert the_task(call).last_status == "RUNNING"


def test_at_its_end_a_task_gives_back_its_room_and_its_address() -> None:
    call = a_call(an_awsvpc_task())
    assert call.store.view().usage.tasks_on(INSTANCE) == 1
    submit_task_state_change(call, report(an_awsvpc_task(), "STOPPED", STOPPED))
    state = call.store.view()
    assert the_task(call).stop_code == "EssentialContainerExited"
    assert state.network_interfaces.get(an_interface().id) is None
    assert state.usage.tasks_on(INSTANCE) == 0


def test_the_same_report_again_writes_nothing() -> None:
    call = a_call(a_task())
    submit_task_state_change(call, report(a_task(), "STOPPED", RUNNING, STOPPED))
    seq = call.store.view().seq
    submit_task_state_change(call, report(a_task(), "STOPPED", RUNNING, STOPPED))
    submit_task_state_change(call, report(a_task(), "RUNNING", RUNNING))
    assert call.store.view().seq == seq


def test_a_report_on_an_unknown_task_is_refused_so_that_the_agent_lets_it_go() -> None:
    with pytest.raises(InvalidParameter, match="not found"):
        submit_task_state_change(a_call(a_task(1)), report(a_task(2), "RUNNING"))


def test_another_accounts_task_is_not_found() -> None:
    call = with_(a_call(a_task()), scope=Scope(AccountId("999999999999"), REGION))
    with pytest.raises(InvalidParameter, match="not found"):
        submit_task_state_change(call, report(a_task(), "RUNNING"))


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="status"):
        submit_task_state_change(a_call(a_task()), report(a_task(), "DANCING"))


def test_a_reason_that_is_too_long_is_cut_and_not_refused() -> None:
    call = a_call(a_task())
    long = ContainerStateChange(
        container_name="app", status="STOPPED", reason="CannotPullContainerError: " + "x" * 5000
    )
    submit_task_state_change(call, report(a_task(), "STOPPED", long))
    assert len(the_task(call).stopped_reason or "") == 1024


def test_in_host_mode_the_ports_are_those_of_the_definition() -> None:
    task = replace(a_task(), network_mode="host")
    call = a_call(task)
    submit_task_state_change(call, report(task, "RUNNING", RUNNING))
    (binding,) = the_task(call).containers[0].network_bindings
    assert (binding.host_port, binding.container_port) == (80, 80)


def test_one_container_can_be_reported_alone() -> None:
    call = a_call(a_task())
    change = SubmitContainerStateChangeRequest(task=a_task().arn, container_name="app", status="STOPPED", exit_code=9)
    submit_container_state_change(call, change)
    task = the_task(call)
    assert (task.containers[0].exit_code, task.desired_status) == (9, "STOPPED")


def test_an_interface_that_the_agent_has_found_is_in_use() -> None:
    task = an_awsvpc_task()
    call = a_call(task)
    seen = AttachmentStateChange(attachment_arn=attachment_arn(task), status="ATTACHED")
    submit_attachment_state_changes(call, SubmitAttachmentStateChangesRequest(attachments=(seen,)))
    submit_task_state_change(call, SubmitTaskStateChangeRequest(task=task.arn, attachments=(seen,)))
    interface = call.store.view().network_interfaces.get(an_interface().id)
    assert interface is not None
    assert interface.status == "in-use"
    stranger = AttachmentStateChange(attachment_arn="arn:aws:ecs:us-east-1:1:attachment/x", status="ATTACHED")
    with pytest.raises(InvalidParameter):
        submit_attachment_state_changes(call, SubmitAttachmentStateChangesRequest(attachments=(stranger,)))
