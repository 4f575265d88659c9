"""Container instances as users see and manage them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs import container_instances as api
from moorage.api.ecs.errors import ClientRefused, ClusterNotFound, InvalidParameter
from moorage.api.ecs.instance_shapes import Failure
from moorage.base.ids import ContainerInstanceArn
from moorage.model.container_instance import Resources
from moorage.model.tags import Tag
from tests.unit.records import INSTANCE, a_cluster, a_task, an_awsvpc_task, an_instance, an_interface
from tests.unit.support import make_call

MISSING = ContainerInstanceArn(INSTANCE[:-32] + "f" * 32)


def a_call() -> Call:
    call = make_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.container_instances.put(replace(an_instance(), tags=(Tag(key="k", value="v"),)))
    return call


def describe(call: Call, *names: str, include: tuple[str, ...] = ()) -> api.DescribeContainerInstancesResponse:
    request = api.DescribeContainerInstancesRequest(container_instances=names, include=include)
    return api.describe_container_instances(call, request)


def test_what_the_tasks_take_is_missing_from_what_remains() -> None:
    call = a_call()
    taken = Resources(cpu=1024, memory=512, ports_tcp=(8080,))
    with call.store.update() as tx:
        tx.tasks.put(replace(a_task(1), reserved=taken, last_status="RUNNING"))
        tx.tasks.put(a_task(2))
    (instance,) = describe(call, INSTANCE).container_instances
    remaining = {one.name: one for one in instance.remaining_resources}
    assert remaining["CPU"].integer_value == 4096 - 1024 - 128
    assert remaining["MEMORY"].integer_value == 8192 - 512 - 64
    assert remaining["PORTS"].string_set_value == ("22", "8080")
    assert (instance.running_tasks_count, instance.pending_tasks_count) == (1, 1)


def test_instances_are_found_by_id_and_arn_and_the_rest_is_missing() -> None:
    answer = describe(a_call(), "a" * 32, INSTANCE, MISSING)
    assert [one.container_instance_arn for one in answer.container_instances] == [INSTANCE]
    assert answer.failures == (Failure(arn=MISSING, reason="MISSING"),)


def test_tags_and_health_are_shown_where_they_are_asked_for() -> None:
    call = a_call()
    assert describe(call, INSTANCE).container_instances[0].tags == ()
    shown = describe(call, INSTANCE, include=("TAGS", "CONTAINER_INSTANCE_HEALTH")).container_instances[0]
    assert shown.tags == (Tag(key="k", value="v"),)
    assert shown.health_status is not None
    with pytest.raises(InvalidParameter):
        describe(call, INSTANCE, include=("WEATHER",))


def test_none_and_too_many_are_refused() -> None:
    with pytest.raises(ClientRefused, match="Container Instances cannot be empty"):
        describe(a_call())
    with pytest.raises(InvalidParameter, match="100"):
        describe(a_call(), *(f"{number:032x}" for number in range(101)))


def test_an_arn_of_another_cluster_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="Your cluster is default"):
        describe(a_call(), INSTANCE.replace("/default/", "/other/"))


def test_lists_leave_out_the_deregistered_and_take_a_status() -> None:
    call = a_call()
    drained = an_instance(MISSING)
    with call.store.update() as tx:
        tx.container_instances.put(replace(drained, status="DRAINING"))
        tx.container_instances.put(
            replace(an_instance(ContainerInstanceArn(INSTANCE[:-32] + "e" * 32)), status="INACTIVE")
        )

    def listed(status: str | None = None) -> tuple[str, ...]:
        request = api.ListContainerInstancesRequest(status=status)
        return api.list_container_instances(call, request).container_instance_arns

    assert listed() == (INSTANCE, MISSING)
    assert listed("DRAINING") == (MISSING,)
    assert listed("REGISTERING") == ()
    with pytest.raises(InvalidParameter):
        listed("ASLEEP")


def test_lists_come_in_pages() -> None:
    call = a_call()
    with call.store.update() as tx:
        tx.container_instances.put(an_instance(MISSING))
    first = api.list_container_instances(call, api.ListContainerInstancesRequest(max_results=1))
    assert first.next_token is not None
    rest = api.list_container_instances(call, api.ListContainerInstancesRequest(next_token=first.next_token))
    assert (first.container_instance_arns, rest.container_instance_arns) == ((INSTANCE,), (MISSING,))
    assert rest.next_token is None


def test_draining_and_back() -> None:
    call = a_call()
    for status, version in (("DRAINING", 2), ("DRAINING", 2), ("ACTIVE", 3)):
        request = api.UpdateContainerInstancesStateRequest(container_instances=(INSTANCE, MISSING), status=status)
        answer = api.update_container_instances_state(call, request)
        (instance,) = answer.container_instances
        assert (instance.status, instance.version) == (status, version)
        assert answer.failures == (Failure(arn=MISSING, reason="MISSING"),)


def test_no_other_status_can_be_set() -> None:
    request = api.UpdateContainerInstancesStateRequest(container_instances=(INSTANCE,), status="INACTIVE")
    with pytest.raises(InvalidParameter, match="ACTIVE, DRAINING"):
        api.update_container_instances_state(a_call(), request)


def test_a_deregistered_instance_is_inactive_and_stays_so() -> None:
    call = a_call()
    request = api.DeregisterContainerInstanceRequest(container_instance=INSTANCE)
    for _ in range(2):
        instance = api.deregister_container_instance(call, request).container_instance
        assert (instance.status, instance.agent_connected, instance.version) == ("INACTIVE", False, 2)
    update = api.UpdateContainerInstancesStateRequest(container_instances=(INSTANCE,), status="ACTIVE")
    (failure,) = api.update_container_instances_state(call, update).failures
    assert failure.reason == "INACTIVE"


def test_an_instance_with_tasks_is_only_deregistered_by_force() -> None:
    call = a_call()
    task = an_awsvpc_task()
    with call.store.update() as tx:
        tx.tasks.put(task)
        tx.network_interfaces.put(an_interface())
    with pytest.raises(InvalidParameter, match="Found running tasks on the instance"):
        api.deregister_container_instance(call, api.DeregisterContainerInstanceRequest(container_instance=INSTANCE))
    forced = api.DeregisterContainerInstanceRequest(container_instance=INSTANCE, force=True)
    api.deregister_container_instance(call, forced)
    after = call.store.view().tasks.get(task.arn)
    assert after is not None
    assert (after.last_status, after.stopped_reason) == (
        "STOPPED",
        "Container instance deregistration forced by user",
    )
    assert call.store.view().network_interfaces.get(an_interface().id) is None


def test_what_is_not_there_cannot_be_deregistered() -> None:
    with pytest.raises(InvalidParameter, match="was not found"):
        api.deregister_container_instance(
            a_call(), api.DeregisterContainerInstanceRequest(container_instance=MISSING)
        )


def test_the_fleet_cannot_be_looked_at() -> None:
    call = a_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster("moorage-fargate", fargate=True))
    with pytest.raises(ClusterNotFound):
        api.list_container_instances(call, api.ListContainerInstancesRequest(cluster="moorage-fargate"))
