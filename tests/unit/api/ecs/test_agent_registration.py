"""How a host's agent comes in, and comes back."""

from __future__ import annotations

import json
from dataclasses import replace as with_

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.attributes import PutAttributesRequest, put_attributes
from moorage.api.ecs.container_instances import DeregisterContainerInstanceRequest, deregister_container_instance
from moorage.api.ecs.errors import ClientRefused, ClusterNotFound, InvalidParameter
from moorage.api.ecs.instance_shapes import AttributeShape, ContainerInstanceShape, ResourceShape, VersionInfo
from moorage.api.ecs.registration import (
    DiscoverPollEndpointRequest,
    RegisterContainerInstanceRequest,
    discover_poll_endpoint,
    register_container_instance,
)
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.tags import Tag
from tests.unit.records import a_cluster
from tests.unit.support import make_call

RESOURCES = (
    ResourceShape(name="CPU", type="INTEGER", integer_value=2048),
    ResourceShape(name="MEMORY", type="INTEGER", integer_value=7800),
    ResourceShape(name="PORTS", type="STRINGSET", string_set_value=("51678", "22")),
    ResourceShape(name="PORTS_UDP", type="STRINGSET", string_set_value=()),
)
ATTRIBUTES = (
    AttributeShape(name="ecs.capability.full-sync"),
    AttributeShape(name="ecs.os-type", value="linux"),
    AttributeShape(name="rack", value="r1"),
)
REQUEST = RegisterContainerInstanceRequest(total_resources=RESOURCES, attributes=ATTRIBUTES)
NODE = "arn:aws:sts::123456789012:assumed-role/moorage-node/AKIAEXAMPLE"


def a_call() -> Call:
    call = make_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.clusters.put(a_cluster(FARGATE_CLUSTER, fargate=True))
    return call


def as_node(call: Call) -> Call:
    return with_(call, principal_arn=NODE)


def registered(call: Call, request: RegisterContainerInstanceRequest = REQUEST) -> ContainerInstanceShape:
    return register_container_instance(call, request).container_instance


def values(instance: ContainerInstanceShape) -> dict[str, str | None]:
    return {one.name: one.value for one in instance.attributes}


def test_a_host_is_given_an_instance_with_all_that_it_said() -> None:
    instance = registered(a_call())
    assert instance.container_instance_arn.startswith(
        "arn:aws:ecs:us-east-1:123456789012:container-instance/default/"
    )
    assert (instance.status, instance.version) == ("ACTIVE", 1)
    sent = {one.name: one.value for one in ATTRIBUTES}
    assert values(instance).items() >= sent.items()
    amounts = {one.name: one for one in instance.registered_resources}
    assert (amounts["CPU"].integer_value, amounts["MEMORY"].integer_value) == (2048, 7800)
    assert amounts["PORTS"].string_set_value == ("22", "51678")


def test_what_ecs_knows_of_a_host_is_added_where_the_agent_is_silent() -> None:
    told = values(registered(a_call()))
    assert told["ecs.availability-zone"] == "us-east-1a"
    assert told["ecs.instance-type"]
    assert told["ecs.ami-id"]


def test_an_identity_document_tells_the_type_and_the_zone() -> None:
    document = json.dumps(
        {
            "instanceId": "i-1",
            "instanceType": "m5.large",
            "imageId": "ami-1",
            "availabilityZone": "us-east-1b",
            "x": 1,
        }
    )
    instance = registered(a_call(), replace(REQUEST, instance_identity_document=document))
    assert instance.ec2_instance_id == "i-1"
    told = values(instance)
    assert (told["ecs.instance-type"], told["ecs.ami-id"]) == ("m5.large", "ami-1")
    assert told["ecs.availability-zone"] == "us-east-1b"


def test_a_document_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ClientRefused):
        registered(a_call(), replace(REQUEST, instance_identity_document="{"))


def test_an_agent_that_comes_back_keeps_its_instance_and_what_users_put_on_it() -> None:
    call = a_call()
    arn = registered(call).container_instance_arn
    put_attributes(
        call, PutAttributesRequest(attributes=(AttributeShape(name="stack", value="prod", target_id=arn),))
    )
    again = replace(
        REQUEST,
        container_instance_arn=arn,
        attributes=(AttributeShape(name="ecs.os-type", value="linux"),),
        version_info=VersionInfo(agent_version="2.0"),
    )
    instance = registered(call, again)
    assert instance.container_instance_arn == arn
    assert instance.version_info.agent_version == "2.0"
    told = values(instance)
    assert (told["stack"], told["rack"]) == ("prod", "r1")
    assert "ecs.capability.full-sync" not in told


def test_the_same_registration_again_writes_nothing() -> None:
    call = a_call()
    arn = registered(call).container_instance_arn
    seq = call.store.view().seq
    registered(call, replace(REQUEST, container_instance_arn=arn))
    assert call.store.view().seq == seq


def test_a_host_cannot_change_its_type() -> None:
    call = a_call()
    arn = registered(call).container_instance_arn
    changed = (*ATTRIBUTES, AttributeShape(name="ecs.instance-type", value="m5.large"))
    with pytest.raises(ClientRefused, match="type changes are not supported"):
        registered(call, replace(REQUEST, container_instance_arn=arn, attributes=changed))


def test_a_deregistered_or_unknown_instance_cannot_come_back() -> None:
    call = a_call()
    arn = registered(call).container_instance_arn
    deregister_container_instance(call, DeregisterContainerInstanceRequest(container_instance=arn))
    for gone in (arn, arn[:-4] + "0000"):
        with pytest.raises(InvalidParameter):
            registered(call, replace(REQUEST, container_instance_arn=gone))


def test_a_cluster_that_is_not_there_is_told_by_its_own_error() -> None:
    with pytest.raises(ClusterNotFound):
        registered(a_call(), replace(REQUEST, cluster="nowhere"))


def test_only_an_agents_key_may_join_the_fleet() -> None:
    call = a_call()
    request = replace(REQUEST, cluster=FARGATE_CLUSTER)
    with pytest.raises(ClusterNotFound):
        registered(call, request)
    instance = registered(as_node(call), request)
    record = call.store.view().container_instances.get(instance.container_instance_arn)
    assert record is not None
    assert record.fargate
    assert record.availability_zone is None


@pytest.mark.parametrize(
    "resources",
    [
        (),
        RESOURCES[:1],
        (*RESOURCES, ResourceShape(name="GPU", type="STRINGSET", string_set_value=("GPU-1",))),
        (*RESOURCES, RESOURCES[0]),
        (replace(RESOURCES[0], integer_value=0), *RESOURCES[1:]),
        (*RESOURCES[:2], replace(RESOURCES[2], string_set_value=("http",))),
        (*RESOURCES[:2], replace(RESOURCES[2], string_set_value=("65536",))),
        (*RESOURCES[:2], replace(RESOURCES[2], string_set_value=tuple(str(port) for port in range(101)))),
    ],
)
def test_resources_that_make_no_host_are_refused(resources: tuple[ResourceShape, ...]) -> None:
    call = a_call()
    with pytest.raises(InvalidParameter):
        registered(call, replace(REQUEST, total_resources=resources))
    assert len(call.store.view().container_instances) == 0


def test_tags_of_a_later_registration_are_laid_over_those_of_the_first() -> None:
    call = a_call()
    first = registered(call, replace(REQUEST, tags=(Tag(key="a", value="1"), Tag(key="b", value="1"))))
    second = replace(REQUEST, container_instance_arn=first.container_instance_arn, tags=(Tag(key="b", value="2"),))
    assert registered(call, second).tags == (Tag(key="a", value="1"), Tag(key="b", value="2"))


def test_an_agent_is_told_where_to_connect() -> None:
    call = a_call()
    arn = registered(call).container_instance_arn
    answer = discover_poll_endpoint(call, DiscoverPollEndpointRequest(cluster="default", container_instance=arn))
    assert answer.endpoint == "http://127.0.0.1:8780/acs"
    assert answer.telemetry_endpoint == "http://127.0.0.1:8780/tcs"
    with pytest.raises(InvalidParameter):
        discover_poll_endpoint(call, DiscoverPollEndpointRequest(container_instance=arn[:-4] + "0000"))
