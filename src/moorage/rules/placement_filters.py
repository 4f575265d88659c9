"""What may rule a node out. Each filter owns its reason and its sentence, so that a refusal explains itself.

Filters work on lists: one pass over thousands of nodes costs a comprehension, not thousands of calls, and what a
pass removed is what the explanation counts.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final, Protocol

from moorage.base.ids import ContainerInstanceArn
from moorage.model.node import Node
from moorage.rules.query import Asked, GroupsOn, Predicate

# `ecs.cpu-architecture` of an instance, by a task definition's cpuArchitecture.
ARCHITECTURES: Final = {"X86_64": "x86_64", "ARM64": "arm64"}


class Filter(Protocol):
    """One reason why a task cannot be on a node. `reason` is what `failures` carry."""

    @property
    def reason(self) -> str: ...

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        """Those that pass."""
        ...

    def sentence(self, count: int) -> str:
        """What is the matter with `count` nodes, after the number: "lack memory"."""
        ...


def _verb(count: int, one: str, many: str, rest: str) -> str:
    return f"{one if count == 1 else many} {rest}"


@dataclass(frozen=True)
class Ready:
    """The instance is ACTIVE and its agent is there."""

    reason: str = "AGENT"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if node.ready]

    def sentence(self, count: int) -> str:
        return _verb(count, "is", "are", "draining or disconnected")


@dataclass(frozen=True)
class Cpu:
    units: int
    reason: str = "RESOURCE:CPU"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if node.cpu >= self.units]

    def sentence(self, count: int) -> str:
        return _verb(count, "lacks", "lack", "cpu")


@dataclass(frozen=True)
class Memory:
    mib: int
    reason: str = "RESOURCE:MEMORY"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if node.memory >= self.mib]

    def sentence(self, count: int) -> str:
        return _verb(count, "lacks", "lack", "memory")


@dataclass(frozen=True)
class Ports:
    """The static host ports that the task asks for."""

    tcp: frozenset[int]
    udp: frozenset[int]
    reason: str = "RESOURCE:PORTS"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        tcp, udp = self.tcp, self.udp
        return [node for node in nodes if tcp.isdisjoint(node.ports_tcp) and udp.isdisjoint(node.ports_udp)]

    def sentence(self, count: int) -> str:
        return _verb(count, "has", "have", "a needed port in use")


@dataclass(frozen=True)
class Gpus:
    """No agent tells of GPUs that it could hand to a task, so a task that needs one fits nowhere."""

    reason: str = "RESOURCE:GPU"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        del nodes
        return []

    def sentence(self, count: int) -> str:
        return _verb(count, "has", "have", "no GPU that a task could be given")


@dataclass(frozen=True)
class Attributes:
    """The capabilities that the task definition requires."""

    names: frozenset[str]
    reason: str = "ATTRIBUTE"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        # Hosts of one kind mostly come with equal sets: each distinct one is looked into once.
        good: dict[frozenset[str], bool] = {}
        kept = []
        for node in nodes:
            names = node.names
            fits = good.get(names)
            if fits is None:
                fits = good[names] = self.names <= names
            if fits:
                kept.append(node)
        return kept

    def sentence(self, count: int) -> str:
        return _verb(count, "lacks", "lack", "a required attribute")


@dataclass(frozen=True)
class AttributeValue:
    """An attribute that must have one value where it is set at all: an agent need not tell what it runs on."""

    name: str
    value: str
    what: str  # "another CPU architecture"
    reason: str = "ATTRIBUTE"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        name, value = self.name, self.value
        return [node for node in nodes if node.attributes.get(name, value) == value]

    def sentence(self, count: int) -> str:
        return _verb(count, "has", "have", self.what)


@dataclass(frozen=True)
class Zones:
    """The zones of the subnets that the task may have its interface in."""

    zones: frozenset[str]
    reason: str = "LOCATION"

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        zones = self.zones
        return [node for node in nodes if node.zone is None or node.zone in zones]

    def sentence(self, count: int) -> str:
        return _verb(count, "is", "are", "in another availability zone")


@dataclass(frozen=True)
class Distinct:
    """distinctInstance: no node that has a task of the same group already."""

    taken: Set[ContainerInstanceArn]
    reason: str = "DistinctInstance placement constraint unsatisfied."

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if node.arn not in self.taken]

    def sentence(self, count: int) -> str:
        return _verb(count, "has", "have", "a task of the group already")


@dataclass(frozen=True)
class MemberOf:
    """memberOf: the node is one of which the expression is true."""

    predicate: Predicate
    groups_on: GroupsOn
    reason: str = "MemberOf placement constraint unsatisfied."

    def keep(self, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if self.predicate(Asked(node, self.groups_on))]

    def sentence(self, count: int) -> str:
        return _verb(count, "is", "are", "outside the memberOf constraint")


def architecture(name: str | None) -> list[Filter]:
    """The filter for a task definition's cpuArchitecture."""
    if name is None:
        return []
    return [AttributeValue("ecs.cpu-architecture", ARCHITECTURES.get(name, name), "another CPU architecture")]


def operating_system(family: str | None) -> list[Filter]:
    """The filter for a task definition's operatingSystemFamily; absent means Linux."""
    kind = "windows" if family is not None and family.startswith("WINDOWS") else "linux"
    return [AttributeValue("ecs.os-type", kind, "another operating system")]


def explain(nodes: Sequence[Node], filters: Sequence[Filter], noun: str = "node") -> tuple[str, str, Node | None]:
    """Why no node passes: the reason, the whole sentence, and the node that came closest.

    "5 nodes: 3 lack memory, 2 have another CPU architecture". Each node counts for the first filter that removed it;
    the closest are those that only the last one removed, and of these the one with the most room.
    """
    total, parts = len(nodes), []
    reason, closest = "AGENT", None
    for one in filters:
        kept = one.keep(nodes)
        removed = len(nodes) - len(kept)
        if removed:
            parts.append(f"{removed} {one.sentence(removed)}")
            reason, closest = one.reason, nodes
        nodes = kept
    assert not nodes, "asked why nothing fits where something does"
    best = max(closest, key=lambda node: (node.memory, node.cpu)) if closest else None
    return reason, f"{total} {noun}{'' if total == 1 else 's'}: {', '.join(parts)}", best
