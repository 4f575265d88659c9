"""The cluster of the Fargate fleet and its hosts are there for agents alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.principal import NODE_ROLE
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import awsvpc, define, define_fargate, installation
from tests.unit.records import SCOPE
from tests.unit.support import ACCOUNT

ARN = SCOPE.arn("ecs", f"cluster/{FARGATE_CLUSTER}")
HOST = SCOPE.arn("ecs", f"container-instance/{FARGATE_CLUSTER}/{0:032x}")
NAMES = (FARGATE_CLUSTER, ARN)
RESOURCES = [{"name": name, "type": "INTEGER", "integerValue": 1} for name in ("CPU", "MEMORY")]


@pytest.fixture
def call() -> Call:
    call = installation(hosts=1)
    define(call)
    define_fargate(call)
    run = {"taskDefinition": "fargate", "launchType": "FARGATE", "networkConfiguration": awsvpc()}
    assert ask(call, "RunTask", **run)["tasks"]
    return call


@pytest.mark.parametrize("name", NAMES)
def test_it_can_not_be_created(call: Call, name: str) -> None:
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(call, "CreateCluster", clusterName=name)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_not_seen(call: Call, name: str) -> None:
    assert ask(call, "ListClusters")["clusterArns"] == [SCOPE.arn("ecs", "cluster/default")]
    described = ask(call, "DescribeClusters", clusters=[name])
    assert described == {"clusters": [], "failures": [{"arn": ARN, "reason": "MISSING"}]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("DeleteCluster", {}),
        ("UpdateCluster", {}),
        ("PutClusterCapacityProviders", {"capacityProviders": [], "defaultCapacityProviderStrategy": []}),
        ("RunTask", {"taskDefinition": "web"}),
        ("StartTask", {"taskDefinition": "web", "containerInstances": [HOST]}),
        ("StopTask", {"task": "0" * 32}),
        ("ListTasks", {}),
        ("DescribeTasks", {"tasks": ["0" * 32]}),
        ("ListContainerInstances", {}),
        ("DescribeContainerInstances", {"containerInstances": [HOST]}),
        ("UpdateContainerInstancesState", {"containerInstances": [HOST], "status": "DRAINING"}),
        ("DeregisterContainerInstance", {"containerInstance": HOST}),
        ("RegisterContainerInstance", {"totalResources": RESOURCES}),
        ("ListAttributes", {"targetType": "container-instance"}),
        ("PutAttributes", {"attributes": [{"name": "a", "targetId": HOST}]}),
    ],
)
def test_nothing_can_be_done_with_it(call: Call, operation: str, members: dict[str, object], name: str) -> None:
    before = call.store.view().seq
    with pytest.raises(Refused) as refused:
        ask(call, operation, cluster=name, **members)
    assert refused.value.code == "ClusterNotFoundException"
    assert call.store.view().seq == before


@pytest.mark.parametrize("arn", [ARN, HOST])
@pytest.mark.parametrize(
    ("operation", "members"),
    [("ListTagsForResource", {}), ("TagResource", {"tags": [{"key": "a"}]}), ("UntagResource", {"tagKeys": ["a"]})],
)
def test_its_tags_are_nobodys(call: Call, operation: str, members: dict[str, object], arn: str) -> None:
    with pytest.raises(Refused, match="ClusterNotFoundException"):
        ask(call, operation, resourceArn=arn, **members)


def test_its_hosts_are_not_named_anywhere(call: Call) -> None:
    (task,) = ask(call, "ListTasks")["taskArns"]
    assert HOST not in str(ask(call, "DescribeTasks", tasks=[task]))
    with pytest.raises(Refused, match="Your cluster is default"):
        ask(call, "DescribeContainerInstances", containerInstances=[HOST])
    with pytest.raises(Refused, match="ClientException: Cluster not found"):
        ask(call, "DiscoverPollEndpoint", cluster=FARGATE_CLUSTER)
    with pytest.raises(Refused, match="was not found"):
        ask(call, "DiscoverPollEndpoint", containerInstance=HOST)
    with pytest.raises(Refused, match="was not found"):
        ask(call, "RegisterContainerInstance", containerInstanceArn=HOST, totalResources=RESOURCES)


def test_agents_come_in_by_its_name(call: Call) -> None:
    agent = replace(call, principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{NODE_ROLE}/KEY")
    assert ask(agent, "DiscoverPollEndpoint", cluster=FARGATE_CLUSTER, containerInstance=HOST)["endpoint"]


def test_its_hosts_are_not_counted_and_the_tasks_on_them_are(call: Call) -> None:
    (cluster,) = ask(call, "DescribeClusters")["clusters"]
    assert (cluster["registeredContainerInstancesCount"], cluster["pendingTasksCount"]) == (1, 1)
