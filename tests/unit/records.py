"""Ready-made records for tests: a cluster, an instance, a definition, a task, each with what the test names."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from moorage.base.ids import (
    ClusterArn,
    ContainerInstanceArn,
    NetworkInterfaceId,
    Scope,
    SecurityGroupId,
    SubnetId,
    TaskArn,
    TaskDefinitionArn,
    VpcId,
)
from moorage.model.cluster import Cluster
from moorage.model.container_instance import Attribute, ContainerInstance, Resources
from moorage.model.network import NetworkInterface, Subnet
from moorage.model.task import Container, Task
from moorage.model.task_definition import ContainerDefinition, TaskDefinition
from tests.unit.support import ACCOUNT, NOW_S, REGION

SCOPE = Scope(ACCOUNT, REGION)
CLUSTER = ClusterArn(SCOPE.arn("ecs", "cluster/default"))
INSTANCE = ContainerInstanceArn(SCOPE.arn("ecs", "container-instance/default/" + "a" * 32))
DEFINITION = TaskDefinitionArn(SCOPE.arn("ecs", "task-definition/web:1"))
SUBNET = SubnetId("subnet-0123456789abcdef0")
VPC = VpcId("vpc-0123456789abcdef0")


def a_cluster(name: str = "default", *, fargate: bool = False) -> Cluster:
    return Cluster(
        arn=ClusterArn(SCOPE.arn("ecs", f"cluster/{name}")),
        name=name,
        account=ACCOUNT,
        region=REGION,
        created_at=NOW_S,
        fargate=fargate,
    )


def an_instance(
    arn: ContainerInstanceArn = INSTANCE, *, connected: bool = True, fargate: bool = False
) -> ContainerInstance:
    return ContainerInstance(
        arn=arn,
        id=arn.rpartition("/")[2],
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        agent_connected=connected,
        registered=Resources(cpu=4096, memory=8192, ports_tcp=(22,)),
        attributes=(Attribute(name="ecs.os-type", value="linux"),),
        registered_at=NOW_S,
        fargate=fargate,
    )


def a_definition(*parts: ContainerDefinition) -> TaskDefinition:
    return TaskDefinition(
        arn=DEFINITION,
        account=ACCOUNT,
        region=REGION,
        family="web",
        revision=1,
        containers=parts or (ContainerDefinition(name="app", image="busybox", memory=64),),
        registered_at=NOW_S,
        registered_by="root",
    )


def a_container(name: str = "app", *, essential: bool = True) -> Container:
    return Container(name=name, arn=SCOPE.arn("ecs", f"container/{name}"), image="busybox", essential=essential)


def a_task(
    number: int = 1, *, containers: Sequence[Container] = (), instance: ContainerInstanceArn = INSTANCE
) -> Task:
    """A bridge task that was placed and not yet heard of; change the rest by `replace`."""
    task_id = f"{number:032x}"
    return Task(
        arn=TaskArn(SCOPE.arn("ecs", f"task/default/{task_id}")),
        id=task_id,
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        task_definition=DEFINITION,
        family="web",
        launch_type="EC2",
        instance=instance,
        group="family:web",
        availability_zone=f"{REGION}a",
        network_mode="bridge",
        reserved=Resources(cpu=128, memory=64),
        last_status="PENDING",
        containers=tuple(containers) or (a_container(),),
        created_at=NOW_S,
    )


def a_subnet() -> Subnet:
    return Subnet(
        id=SUBNET,
        account=ACCOUNT,
        region=REGION,
        vpc=VPC,
        cidr="172.31.16.0/20",
        availability_zone=f"{REGION}a",
        availability_zone_id="use1-az1",
    )


def an_interface(number: int = 9) -> NetworkInterface:
    return NetworkInterface(
        id=NetworkInterfaceId(f"eni-{number:017x}"),
        account=ACCOUNT,
        region=REGION,
        vpc=VPC,
        subnet=SUBNET,
        availability_zone=f"{REGION}a",
        address=f"172.31.16.{number}",
        mac="02:00:00:00:00:09",
        groups=(SecurityGroupId("sg-0123456789abcdef0"),),
        description="",
        requester="amazon-ecs",
        attachment_id="eni-attach-1",
        attached_at=NOW_S,
        private_dns_name=f"ip-172-31-16-{number}.ec2.internal",
    )


def an_awsvpc_task(number: int = 1, *, address: int = 9) -> Task:
    return replace(
        a_task(number),
        network_mode="awsvpc",
        last_status="PROVISIONING",
        interface=an_interface(address).id,
        attachment_id="7e1b6a52-0000-4000-8000-000000000001",
    )
