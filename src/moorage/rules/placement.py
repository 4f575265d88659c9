"""Where tasks go: a pure function from what is wanted and what is left to a node for each task, or a refusal.

The pipeline is that of the ECS scheduler: instances that are ready, with the resources, with the attributes, within
the constraints, in the order of the strategies. All tasks of one call are alike, so nodes are filtered once for all
of them. Where the strategies leave it to chance among many, nodes are not even filtered: one is thrown, and kept if
it fits and none could be better; only when that fails does anybody look at them all. See docs/design/placement.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from moorage.base.dice import Dice, below
from moorage.base.ids import ContainerInstanceArn
from moorage.model.container_instance import Resources
from moorage.model.node import Node
from moorage.rules.placement_filters import Cpu, Distinct, Filter, Memory, Ports, Ready, Zones, explain
from moorage.rules.placement_order import ZONE, Counts, Order, Queue, Strategy, in_effect

# Throws before looking at every node. A cluster in which a tenth of the nodes fit is missed once in thirty times.
THROWS_MAX: Final = 32
# Fargate takes the best of this many hosts with room. Two already keep the fullest host within a few tasks of the
# mean, whatever the number of hosts (Mitzenmacher, "The power of two choices"); beyond four little is gained.
HOSTS_COMPARED: Final = 4
FARGATE_FULL: Final = (
    "Capacity is unavailable at this time. Please try again later or in a different availability zone"
)


class Group(Protocol):
    """Where the tasks of the group are already."""

    @property
    def on_instance(self) -> Mapping[ContainerInstanceArn, int]: ...
    @property
    def in_zone(self) -> Mapping[str, int]: ...
    def fewest(self, instances: int) -> int: ...


class Pool(Protocol):
    """The nodes of a cluster."""

    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def zones(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Want:
    """What each of the tasks needs. `filters` are those beyond resources: attributes, zones, constraints."""

    resources: Resources
    filters: tuple[Filter, ...] = ()
    distinct: bool = False  # at most one task of the group on a node
    strategies: tuple[Strategy, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why a task has no place. `reason` is ECS's word, `detail` the whole sentence."""

    reason: str
    detail: str
    instance: ContainerInstanceArn | None = None


@dataclass(frozen=True)
class Choice:
    """A node for one task, and the zone that it is in there."""

    node: Node
    zone: str


@dataclass(frozen=True)
class Placement:
    """`chosen` in the order of the tasks; where they are fewer than asked for, `refusal` says why."""

    chosen: tuple[Choice, ...]
    refusal: Refusal | None = None


class _Batch:
    """The nodes while the tasks of one call are placed: what was decided before counts for what comes after."""

    def __init__(self, want: Want, pool: Pool, group: Group, dice: Dice) -> None:
        self.want = want
        self.pool = pool
        self.dice = dice
        self.counts = Counts(group.on_instance)
        self._taken = set(group.on_instance) if want.distinct else set()
        self._changed: dict[ContainerInstanceArn, Node] = {}
        self.filters = filters(want, self._taken)

    def nodes(self) -> list[Node]:
        """All nodes as they are by now."""
        changed = self._changed
        return [changed.get(node.arn, node) for node in self.pool.nodes] if changed else list(self.pool.nodes)

    def fits(self, node: Node, *more: Filter) -> bool:
        kept: Sequence[Node] = (node,)
        for each in (*self.filters, *more):
            kept = each.keep(kept)
            if not kept:
                return False
        return True

    def fitting(self, *more: Filter) -> list[Node]:
        nodes = self.nodes()
        for each in (*self.filters, *more):
            nodes = each.keep(nodes)
        return nodes

    def thrown(self, *more: Filter) -> Iterator[Node]:
        """Those that fit of THROWS_MAX nodes by the dice; the same one may come twice."""
        nodes, changed = self.pool.nodes, self._changed
        for _ in range(THROWS_MAX):
            node = nodes[below(self.dice, len(nodes))]
            node = changed.get(node.arn, node)
            if self.fits(node, *more):
                yield node

    def take(self, node: Node) -> Node:
        """Place a task on a node; what is left of it."""
        left = node.without(self.want.resources)
        self._changed[node.arn] = left
        self.counts.add(node.arn)
        if self.want.distinct:
            self._taken.add(node.arn)
        return left


def filters(want: Want, taken: set[ContainerInstanceArn]) -> tuple[Filter, ...]:
    """The pipeline for one kind of task, in ECS's order; `taken` are the nodes that distinctInstance rules out."""
    resources = want.resources
    pipeline: list[Filter] = [Ready(), Cpu(resources.cpu), Memory(resources.memory)]
    if resources.ports_tcp or resources.ports_udp:
        pipeline.append(Ports(frozenset(resources.ports_tcp), frozenset(resources.ports_udp)))
    pipeline += want.filters
    if want.distinct:
        pipeline.append(Distinct(taken))
    return tuple(pipeline)


def place(want: Want, count: int, pool: Pool, group: Group, dice: Dice) -> Placement:
    """A node for each of `count` tasks, on the container instances of a cluster."""
    batch = _Batch(want, pool, group, dice)
    chosen = _by_chance(batch, count, group)
    if len(chosen) < count:
        order = Order(in_effect(want.strategies), batch.counts, batch.nodes())
        queue = Queue(batch.fitting(), order, count - len(chosen), dice)
        while len(chosen) < count and (node := queue.pop()) is not None:
            chosen.append(node)
            left = batch.take(node)
            queue.placed(left, still_fits=batch.fits(left))
    refusal = None if len(chosen) == count else _refusal(batch)
    return Placement(tuple(Choice(node, node.zone or "") for node in chosen), refusal)


def _by_chance(batch: _Batch, count: int, group: Group) -> list[Node]:
    """As many nodes as the dice find that are certainly among the best; the rest are for the queue.

    Strategies can be met by chance where the best value is known beforehand: the zone with the fewest tasks, then
    any node with the fewest. A node that attains it is as good as any that a search of all would find.
    """
    strategies = in_effect(batch.want.strategies)
    by_zone = strategies[:1] == (Strategy("spread", ZONE),)
    by_node = strategies[by_zone:] == (Strategy("spread", "instanceId"),)
    if len(batch.pool.nodes) <= THROWS_MAX or len(strategies) != by_zone + by_node:
        return []
    zones = Spread(batch.pool.zones, group.in_zone, batch.dice) if by_zone else None
    most = group.fewest(len(batch.pool.nodes)) if by_node else None
    chosen: list[Node] = []
    while len(chosen) < count:
        zone = zones.best() if zones is not None else None
        thrown = batch.thrown(*(() if zone is None else (Zones(frozenset((zone,))),)))
        node = next((one for one in thrown if most is None or batch.counts.of(one.arn) <= most), None)
        if node is None:
            break
        chosen.append(node)
        batch.take(node)
        if zones is not None and zone is not None:
            zones.add(zone)
    return chosen


class Spread:
    """Zones, the one with the fewest tasks first."""

    def __init__(self, zones: Sequence[str], tasks: Mapping[str, int], dice: Dice) -> None:
        self._tasks = {zone: tasks.get(zone, 0) for zone in zones}
        self._dice = dice

    def best(self) -> str | None:
        """One of those with the fewest tasks; None where there are no zones."""
        least = min(self._tasks.values(), default=0)
        best = [zone for zone, tasks in self._tasks.items() if tasks == least]
        return best[below(self._dice, len(best))] if best else None

    def add(self, zone: str) -> None:
        self._tasks[zone] += 1

    def leave_out(self, zone: str) -> None:
        """Nothing fits there any more."""
        del self._tasks[zone]


def place_on_fleet(want: Want, count: int, pool: Pool, group: Group, zones: Sequence[str], dice: Dice) -> Placement:
    """A host of the Fargate fleet for each of `count` tasks, spread over `zones`, those of the caller's subnets."""
    batch = _Batch(want, pool, group, dice)
    spread = Spread(zones, group.in_zone, dice)
    chosen: list[Choice] = []
    while len(chosen) < count and (zone := spread.best()) is not None:
        node = _host(batch, zone)
        if node is None:
            spread.leave_out(zone)
            continue
        chosen.append(Choice(node, zone))
        spread.add(zone)
        batch.take(node)
    if len(chosen) == count:
        return Placement(tuple(chosen))
    return Placement(tuple(chosen), _fleet_refusal(batch, zones))


def _host(batch: _Batch, zone: str) -> Node | None:
    """The host with the fewest tasks of the group, of like ones that with the most memory left, among some."""
    here = Zones(frozenset((zone,)))
    few = len(batch.pool.nodes) <= THROWS_MAX
    among = [] if few else list(islice(batch.thrown(here), HOSTS_COMPARED))
    among = among or batch.fitting(here)
    return min(among, key=lambda node: (batch.counts.of(node.arn), -node.memory), default=None)


def check(want: Want, node: Node, group: Group) -> Refusal | None:
    """Why one task cannot be on this very node, which the caller chose; None where it can."""
    pipeline = filters(want, set(group.on_instance) if want.distinct else set())
    kept: list[Node] = [node]
    for each in pipeline:
        kept = each.keep(kept)
    if kept:
        return None
    reason, detail, _ = explain([node], pipeline)
    return Refusal(reason, detail, node.arn)


def _refusal(batch: _Batch) -> Refusal:
    reason, detail, closest = explain(batch.nodes(), batch.filters)
    return Refusal(reason, detail, closest.arn if closest else None)


def _fleet_refusal(batch: _Batch, zones: Sequence[str]) -> Refusal:
    nodes = batch.nodes()
    if not nodes:
        return Refusal(FARGATE_FULL, "no host has joined the Fargate fleet")
    pipeline = (*batch.filters, Zones(frozenset(zones)))
    return Refusal(FARGATE_FULL, explain(nodes, pipeline, "host")[1])
