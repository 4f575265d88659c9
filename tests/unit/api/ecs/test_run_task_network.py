"""RunTask with interfaces of their own: awsvpc on instances and on Fargate."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from moorage.base.errors import Refused
from moorage.base.ids import SubnetId, VpcId
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import GROUP, SUBNETS, a_subnet, awsvpc, define, define_fargate, drain, installation
from tests.unit.api.ecs.fleet import report_stopped as stopped

FARGATE = {"taskDefinition": "fargate", "launchType": "FARGATE"}


def details(task: dict[str, Any]) -> dict[str, str]:
    (attachment,) = task["attachments"]
    return {one["name"]: one["value"] for one in attachment["details"]}


def test_a_fargate_task_has_an_interface_and_no_instance() -> None:
    call = installation(instances=0, hosts=1)
    define_fargate(call)
    task = ask(call, "RunTask", **FARGATE, networkConfiguration=awsvpc("b"))["tasks"][0]
    assert (task["launchType"], task["platformVersion"], task["platformFamily"]) == ("FARGATE", "1.4.0", "Linux")
    assert (task["lastStatus"], task["availabilityZone"]) == ("PROVISIONING", "us-east-1b")
    assert "containerInstanceArn" not in task
    (interface,) = call.store.view().network_interfaces
    assert details(task) == {
        "subnetId": SUBNETS["b"],
        "networkInterfaceId": interface.id,
        "macAddress": interface.mac,
        "privateDnsName": interface.private_dns_name,
        "privateIPv4Address": interface.address,
    }
    (attachment,) = task["attachments"]
    assert (attachment["type"], attachment["status"]) == ("ElasticNetworkInterface", "PRECREATED")
    assert interface.description.endswith(f"attachment/{attachment['id']}")
    assert task["containers"][0]["networkInterfaces"] == [
        {"attachmentId": attachment["id"], "privateIpv4Address": interface.address}
    ]
    assert interface.groups == (GROUP,)


def test_fargate_tasks_spread_over_the_subnets_zones() -> None:
    call = installation(instances=0, hosts=3)
    define_fargate(call)
    tasks = ask(call, "RunTask", **FARGATE, count=6, networkConfiguration=awsvpc("a", "b", "c"))["tasks"]
    assert set(Counter(task["availabilityZone"] for task in tasks).values()) == {2}
    assert len({details(task)["privateIPv4Address"] for task in tasks}) == 6


def test_no_room_in_the_fleet_is_told_without_naming_a_host() -> None:
    call = installation(instances=0, hosts=1)
    define_fargate(call, cpu="4096", memory="8192")
    answer = ask(call, "RunTask", **FARGATE, networkConfiguration=awsvpc())
    assert answer["tasks"] == []
    assert answer["failures"] == [
        {
            "reason": "Capacity is unavailable at this time. Please try again later or in a different "
            "availability zone",
            "detail": "1 host: 1 lacks memory",
        }
    ]


def test_a_strategy_of_fargate_is_told_by_its_tasks() -> None:
    call = installation(instances=0, hosts=1)
    define_fargate(call)
    strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
    ask(
        call,
        "PutClusterCapacityProviders",
        cluster="default",
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=strategy,
    )
    for given in ({"capacityProviderStrategy": strategy}, {}):
        answer = ask(call, "RunTask", taskDefinition="fargate", networkConfiguration=awsvpc(), **given)
        task = answer["tasks"][0]
        assert (task["launchType"], task["capacityProviderName"]) == ("FARGATE", "FARGATE")


def test_an_instance_in_another_zone_is_no_place_for_the_interface() -> None:
    call = installation(instances=1)
    define(call, mode="awsvpc")
    answer = ask(call, "RunTask", taskDefinition="web", networkConfiguration=awsvpc("b"))
    assert answer["failures"][0]["reason"] == "LOCATION"
    assert ask(call, "RunTask", taskDefinition="web", networkConfiguration=awsvpc("a", "b"))["tasks"]


def test_a_full_subnet_gives_no_address_and_a_stopped_task_gives_its_own_back() -> None:
    call = installation(instances=0, hosts=8)
    define_fargate(call)
    run = {**FARGATE, "networkConfiguration": awsvpc("a")}
    tasks = [task for _ in range(2) for task in ask(call, "RunTask", **run, count=10)["tasks"]]
    assert len(tasks) == 11  # of a /28
    answer = ask(call, "RunTask", **run)
    assert answer["failures"] == [{"reason": "RESOURCE:ENI", "detail": "no address is free in subnet-a"}]
    assert len(ask(call, "RunTask", **{**run, "networkConfiguration": awsvpc("a", "b")})["tasks"]) == 1
    stopped(call, tasks[0]["taskArn"])
    task = ask(call, "RunTask", **run)["tasks"][0]
    assert details(task)["privateIPv4Address"] == details(tasks[0])["privateIPv4Address"]


def test_a_stopped_task_still_tells_its_address() -> None:
    call = installation(instances=0, hosts=1)
    define_fargate(call)
    task = ask(call, "RunTask", **FARGATE, networkConfiguration=awsvpc())["tasks"][0]
    stopped(call, task["taskArn"])
    described = ask(call, "DescribeTasks", tasks=[task["taskArn"]])["tasks"][0]
    assert described["attachments"][0]["status"] == "DELETED"
    assert details(described) == details(task)


def test_draining_hosts_take_nothing() -> None:
    call = installation(instances=0, hosts=1)
    define_fargate(call)
    (host,) = call.store.view().container_instances
    drain(call, host)
    answer = ask(call, "RunTask", **FARGATE, networkConfiguration=awsvpc())
    assert answer["failures"][0]["detail"] == "1 host: 1 is draining or disconnected"


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (None, "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
        ({"subnets": []}, "subnets can not be empty."),
        ({"subnets": ["subnet-x"]}, "The subnet ID 'subnet-x' does not exist"),
        ({"subnets": ["subnet-other"]}, "The subnet ID 'subnet-other' does not exist"),
        ({"subnets": ["subnet-a", "subnet-far"]}, "All subnets must belong to the same VPC."),
        ({"subnets": ["subnet-far"], "securityGroups": [GROUP]}, "must belong to the same VPC"),
        ({"subnets": ["subnet-a"], "securityGroups": ["sg-x"]}, "The security group ID 'sg-x' does not exist"),
        ({"subnets": ["subnet-a"] * 17}, "subnets can have at most 16 items."),
        ({"subnets": ["subnet-a"], "securityGroups": ["sg"] * 6}, "securityGroups can have at most 5 items."),
        ({"subnets": ["subnet-a"], "assignPublicIp": "YES"}, "assignPublicIp must be ENABLED or DISABLED."),
    ],
)
def test_a_network_that_cannot_be_is_refused(configuration: dict[str, object] | None, message: str) -> None:
    call = installation(hosts=1)
    define_fargate(call)
    with call.store.update() as tx:
        tx.subnets.put(a_subnet(SubnetId("subnet-far"), "a", "10.9.0.0/28", VpcId("vpc-far")))
    network = {} if configuration is None else {"networkConfiguration": {"awsvpcConfiguration": configuration}}
    with pytest.raises(Refused) as refused:
        ask(call, "RunTask", **FARGATE, **network)
    assert message in refused.value.message
    assert refused.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"platformVersion": "9.9"}, "PlatformUnknownException"),
        ({"placementStrategy": [{"type": "random"}]}, "InvalidParameterException"),
    ],
)
def test_what_fargate_does_not_take_is_refused(members: dict[str, object], code: str) -> None:
    call = installation(hosts=1)
    define_fargate(call)
    with pytest.raises(Refused) as refused:
        ask(call, "RunTask", **FARGATE, networkConfiguration=awsvpc(), **members)
    assert refused.value.code == code


def test_public_addresses_are_fargates_to_ask_for() -> None:
    call = installation(hosts=1)
    define(call, mode="awsvpc")
    define_fargate(call)
    network = awsvpc(assignPublicIp="ENABLED")
    assert ask(call, "RunTask", **FARGATE, networkConfiguration=network)["tasks"]
    with pytest.raises(Refused, match="Assign public IP is not supported for this launch type"):
        ask(call, "RunTask", taskDefinition="web", networkConfiguration=network)
