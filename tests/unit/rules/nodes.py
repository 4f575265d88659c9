"""Nodes for tests of placement."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.base.ids import ClusterArn, ContainerInstanceArn
from moorage.model.container_instance import Attribute, ContainerInstance, Resources
from moorage.model.node import Node
from moorage.rules.placement_order import ZONE
from moorage.store.usage import GroupUsage, Pool
from tests.unit.support import ACCOUNT, NOW_S, REGION

NO_GROUP = GroupUsage()


def node(
    number: int,
    *,
    cpu: int = 1024,
    memory: int = 1024,
    zone: str | None = "a",
    ports: tuple[int, ...] = (),
    connected: bool = True,
    **attributes: str,
) -> Node:
    """A node with that much free. `os_type="linux"` stands for the attribute `ecs.os-type`."""
    named = {f"ecs.{name.replace('_', '-')}": value for name, value in attributes.items()}
    if zone is not None:
        named[ZONE] = zone
    instance = ContainerInstance(
        arn=ContainerInstanceArn(f"instance-{number}"),
        id=str(number),
        account=ACCOUNT,
        region=REGION,
        cluster=ClusterArn("cluster"),
        agent_connected=connected,
        registered=Resources(cpu=cpu, memory=memory, ports_tcp=ports),
        attributes=tuple(Attribute(name=name, value=value) for name, value in named.items()),
        registered_at=NOW_S,
    )
    return Node.of(instance)


def pool(nodes: Sequence[Node]) -> Pool:
    result = Pool()
    for one in nodes:
        result.put(one)
    return result


def group(*places: tuple[int, str]) -> GroupUsage:
    """A group whose tasks are on these (node's number, zone)."""
    result = GroupUsage()
    for number, zone in places:
        result.count(ContainerInstanceArn(f"instance-{number}"), zone, 1)
    return result
