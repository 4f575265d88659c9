"""A container instance as placement sees it: what is left of it. Derived from the records, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from moorage.base.ids import ContainerInstanceArn
from moorage.model.container_instance import ContainerInstance, Resources

NOTHING = Resources()


@lru_cache(maxsize=4096)  # kinds of host; a kind more costs a comparison, nothing else
def intern_names(names: frozenset[str]) -> frozenset[str]:
    """One object for equal sets, so that comparing those of thousands of like hosts is comparing pointers."""
    return names


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu` and `memory` are what is free, the ports what is taken; the rest are facts of `instance`, read once.

    Placement looks at thousands of these at a time: what it asks of each is a plain member here.
    """

    arn: ContainerInstanceArn
    instance: ContainerInstance
    ready: bool  # ACTIVE with a connected agent
    zone: str | None  # None: serves every zone
    attributes: Mapping[str, str]  # name to value, "" where it has none
    names: frozenset[str]  # of its attributes
    cpu: int  # units free; below zero where a host came back smaller than what it runs
    memory: int  # MiB free
    ports_tcp: tuple[int, ...]  # taken by tasks or reserved by the host
    ports_udp: tuple[int, ...]
    tasks: int  # how many tasks hold something of it

    @staticmethod
    def of(instance: ContainerInstance, taken: Resources = NOTHING, tasks: int = 0) -> Node:
        """The node that is left of `instance` when `tasks` tasks have `taken` of it."""
        whole = instance.registered
        return Node(
            arn=instance.arn,
            instance=instance,
            ready=instance.status == "ACTIVE" and instance.agent_connected,
            zone=instance.availability_zone,
            attributes={attribute.name: attribute.value or "" for attribute in instance.attributes},
            names=intern_names(frozenset(attribute.name for attribute in instance.attributes)),
            cpu=whole.cpu - taken.cpu,
            memory=whole.memory - taken.memory,
            ports_tcp=whole.ports_tcp + taken.ports_tcp,
            ports_udp=whole.ports_udp + taken.ports_udp,
            tasks=tasks,
        )

    def holding(self, taken: Resources, tasks: int) -> Node:
        """The same node when `tasks` tasks have `taken` of it."""
        whole = self.instance.registered
        return Node(
            arn=self.arn,
            instance=self.instance,
            ready=self.ready,
            zone=self.zone,
            attributes=self.attributes,
            names=self.names,
            cpu=whole.cpu - taken.cpu,
            memory=whole.memory - taken.memory,
            ports_tcp=whole.ports_tcp + taken.ports_tcp,
            ports_udp=whole.ports_udp + taken.ports_udp,
            tasks=tasks,
        )

    def without(self, wanted: Resources) -> Node:
        """What is left when one more task takes `wanted`."""
        return Node(
            arn=self.arn,
            instance=self.instance,
            ready=self.ready,
            zone=self.zone,
            attributes=self.attributes,
            names=self.names,
            cpu=self.cpu - wanted.cpu,
            memory=self.memory - wanted.memory,
            ports_tcp=self.ports_tcp + wanted.ports_tcp,
            ports_udp=self.ports_udp + wanted.ports_udp,
            tasks=self.tasks + 1,
        )
