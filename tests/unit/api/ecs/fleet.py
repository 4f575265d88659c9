"""A small installation to run tasks in: a cluster, a VPC, instances, Fargate hosts, a definition or two."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from moorage.api.call import Call
from moorage.base.ids import ClusterArn, ContainerInstanceArn, SecurityGroupId, SubnetId, VpcId
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.container_instance import Attribute, ContainerInstance, Resources
from moorage.model.network import SecurityGroup, Subnet, Vpc
from moorage.rules.lifecycle import ContainerReport, TaskReport, apply_report
from moorage.store import StateTx
from tests.unit.api.ecs.asking import ask
from tests.unit.records import SCOPE, a_cluster
from tests.unit.support import ACCOUNT, NOW_S, REGION, make_call

VPC, GROUP = VpcId("vpc-1"), SecurityGroupId("sg-default")
SUBNETS = {letter: SubnetId(f"subnet-{letter}") for letter in "abc"}
CAPABILITIES = (
    "ecs.capability.task-eni",
    "moorage.capability.eni-in-payload",
    "ecs.capability.task-cpu-mem-limit",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.21",
)


def installation(*, instances: int = 1, hosts: int = 0, seed: int = 1) -> Call:
    """A call into an installation with that many container instances and Fargate hosts."""
    call = make_call(seed=seed)
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.clusters.put(a_cluster(FARGATE_CLUSTER, fargate=True))
        _vpc(tx, VPC, "10.0.0.0/16")
        for number, (letter, subnet) in enumerate(SUBNETS.items()):
            tx.subnets.put(a_subnet(subnet, letter, f"10.0.{number}.0/28"))
    for number in range(instances):
        add(call, "default", number, zone="abc"[number % 3])
    for number in range(hosts):
        add(call, FARGATE_CLUSTER, number, zone=None)
    return call


def _vpc(tx: StateTx, vpc: VpcId, cidr: str) -> None:
    tx.vpcs.put(Vpc(id=vpc, account=ACCOUNT, region=REGION, cidr=cidr))
    tx.security_groups.put(
        SecurityGroup(id=GROUP, account=ACCOUNT, region=REGION, vpc=vpc, name="default", description="")
    )


def a_subnet(subnet: SubnetId, letter: str, cidr: str, vpc: VpcId = VPC) -> Subnet:
    return Subnet(
        id=subnet,
        account=ACCOUNT,
        region=REGION,
        vpc=vpc,
        cidr=cidr,
        availability_zone=f"{REGION}{letter}",
        availability_zone_id=f"use1-{letter}",
    )


def add(call: Call, cluster: str, number: int, *, zone: str | None = "a", memory: int = 4096) -> ContainerInstance:
    """One more host of that cluster, with 4 vCPU."""
    attributes = [Attribute(name=name) for name in CAPABILITIES]
    attributes += [
        Attribute(name="ecs.os-type", value="linux"),
        Attribute(name="ecs.cpu-architecture", value="x86_64"),
    ]
    if zone is not None:
        attributes.append(Attribute(name="ecs.availability-zone", value=f"{REGION}{zone}"))
    host = ContainerInstance(
        arn=ContainerInstanceArn(SCOPE.arn("ecs", f"container-instance/{cluster}/{number:032x}")),
        id=f"{number:032x}",
        account=ACCOUNT,
        region=REGION,
        cluster=ClusterArn(SCOPE.arn("ecs", f"cluster/{cluster}")),
        agent_connected=True,
        registered=Resources(cpu=4096, memory=memory, ports_tcp=(22,)),
        attributes=tuple(attributes),
        registered_at=NOW_S,
        fargate=cluster == FARGATE_CLUSTER,
    )
    with call.store.update() as tx:
        return tx.container_instances.put(host)


def define(call: Call, family: str = "web", *, mode: str = "bridge", **members: object) -> str:
    """Register a definition of one container of 128 units and 64 MiB; its name with the revision."""
    container: dict[str, object] = {"name": "app", "image": "busybox", "cpu": 128, "memory": 64}
    answer = ask(
        call,
        "RegisterTaskDefinition",
        **{"family": family, "networkMode": mode, "containerDefinitions": [container], **members},
    )
    return f"{family}:{answer['taskDefinition']['revision']}"


def define_fargate(call: Call, **members: object) -> str:
    """Register a definition that Fargate takes."""
    given = {"mode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"], **members}
    return define(call, "fargate", **given)  # type: ignore[arg-type]  # mode is a str, the rest are members


def awsvpc(*letters: str, **more: object) -> dict[str, Any]:
    """A network configuration with the subnets of those zones."""
    subnets = [SUBNETS[letter] for letter in letters or "a"]
    return {"awsvpcConfiguration": {"subnets": subnets, **more}}


def report_stopped(call: Call, arn: str) -> None:
    """The agent says that the task's one container has ended."""
    with call.store.update() as tx:
        task = tx.tasks.get(arn)
        assert task is not None
        ended = ContainerReport(name=task.containers[0].name, status="STOPPED", exit_code=0)
        tx.tasks.put(apply_report(task, TaskReport(status="STOPPED", containers=(ended,)), call.now_s))
        if task.interface is not None:
            tx.network_interfaces.delete(task.interface)


def drain(call: Call, host: ContainerInstance) -> None:
    with call.store.update() as tx:
        tx.container_instances.put(replace(host, status="DRAINING"))
