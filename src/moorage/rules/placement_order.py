"""Placement strategies: in which order nodes that fit are taken. Best effort, each one refining the one before.

Source: Developer Guide, "Use strategies to define Amazon ECS task placement".
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from moorage.base.dice import Dice, below
from moorage.base.errors import Refused
from moorage.base.ids import ContainerInstanceArn
from moorage.model.node import Node

STRATEGIES_MAX: Final = 5  # in one request; AWS's own number
TIE_BITS: Final = 64  # what one element of a buffer takes
ZONE: Final = "ecs.availability-zone"


@dataclass(frozen=True)
class Strategy:
    """`field` is "instanceId" or an attribute's name for spread, "cpu" or "memory" for binpack."""

    kind: Literal["random", "spread", "binpack"]
    field: str = ""

    @property
    def by_attribute(self) -> bool:
        return self.kind == "spread" and self.field != "instanceId"


def strategy(kind: str, field: str | None) -> Strategy:
    """One strategy as a caller writes it; refused where there is no such strategy."""
    lower = (field or "").lower()
    if kind == "random":
        if field:
            raise Refused("The placement strategy of type 'random' does not accept a field.")
        return Strategy("random")
    if kind == "binpack":
        if lower not in ("cpu", "memory"):
            raise Refused(f"The field '{field or ''}' is not valid for a placement strategy of type 'binpack'.")
        return Strategy("binpack", lower)
    if kind == "spread":
        if not field:
            raise Refused("The placement strategy of type 'spread' requires a field.")
        if lower in ("instanceid", "host"):
            return Strategy("spread", "instanceId")
        return Strategy("spread", field[len("attribute:") :] if lower.startswith("attribute:") else field)
    raise Refused(f"The placement strategy type '{kind}' is not valid.")


def in_effect(strategies: Sequence[Strategy]) -> tuple[Strategy, ...]:
    """The strategies up to the first `random`: what follows it has nothing left to refine."""
    kept: list[Strategy] = []
    for one in strategies:
        if one.kind == "random":
            break
        kept.append(one)
    return tuple(kept)


class Counts:
    """How many tasks of the group each node has, with those that are being placed now."""

    def __init__(self, on_instance: Mapping[ContainerInstanceArn, int]) -> None:
        self._before = on_instance
        self._added: dict[ContainerInstanceArn, int] = {}

    def of(self, instance: ContainerInstanceArn) -> int:
        return self._before.get(instance, 0) + self._added.get(instance, 0)

    def add(self, instance: ContainerInstanceArn) -> None:
        self._added[instance] = self._added.get(instance, 0) + 1

    def by_value(self, nodes: Sequence[Node], names: Sequence[str]) -> dict[tuple[str, ...], int]:
        """Tasks of the group for each combination of the values of the attributes `names`, and its beginnings."""
        totals: dict[tuple[str, ...], int] = {}
        before, added = self._before, self._added
        for node in [node for node in nodes if node.arn in before or node.arn in added]:
            value, tasks = values(node, names), self.of(node.arn)
            for length in range(1, len(names) + 1):
                totals[value[:length]] = totals.get(value[:length], 0) + tasks
        return totals


def values(node: Node, names: Sequence[str]) -> tuple[str, ...]:
    """The values of a node's attributes; nodes without one are alike."""
    return tuple([node.attributes.get(name, "") for name in names])


def values_of_all(nodes: Sequence[Node], names: Sequence[str]) -> list[tuple[str, ...]]:
    """`values` of each of many nodes."""
    return list(zip(*([node.attributes.get(name, "") for node in nodes] for name in names), strict=True))


_Key = tuple[int, ...]
_Entry = tuple[_Key, int, int, Node]  # rank, tie by the dice, and a number that no other has


class Order:
    """The order that strategies give to nodes, as it is now: placing a task changes it.

    The leading spreads by attribute part the nodes; the strategies after them rank the nodes of a part.
    """

    def __init__(self, strategies: Sequence[Strategy], counts: Counts, everyone: Sequence[Node]) -> None:
        leading = next((i for i, one in enumerate(strategies) if not one.by_attribute), len(strategies))
        self.names = tuple(one.field for one in strategies[:leading])
        self._inner = tuple(strategies[leading:])
        self._counts = counts
        self._totals = counts.by_value(everyone, self.names) if self.names else {}
        self._late = {one.field: counts.by_value(everyone, (one.field,)) for one in self._inner if one.by_attribute}

    @property
    def shifts(self) -> bool:
        """Whether placing a task on one node changes the rank of others in its part."""
        return bool(self._late)

    def part_rank(self, part: tuple[str, ...]) -> _Key:
        return tuple(self._totals.get(part[:length], 0) for length in range(1, len(part) + 1))

    def ranks(self, nodes: Sequence[Node]) -> list[_Key]:
        """The rank of each node in its part, the least is the best; by columns, as there may be thousands."""
        columns = [self._column(one, nodes) for one in self._inner]
        return list(zip(*columns, strict=True)) if columns else [()] * len(nodes)

    def placed(self, node: Node) -> None:
        """One more task of the group is on `node`."""
        part = values(node, self.names)
        for length in range(1, len(part) + 1):
            self._totals[part[:length]] = self._totals.get(part[:length], 0) + 1
        for name, totals in self._late.items():
            value = values(node, (name,))
            totals[value] = totals.get(value, 0) + 1

    def _column(self, one: Strategy, nodes: Sequence[Node]) -> list[int]:
        if one.field == "instanceId":
            count = self._counts.of
            return [count(node.arn) for node in nodes]
        if one.by_attribute:
            totals = self._late[one.field]
            return [totals.get(values(node, (one.field,)), 0) for node in nodes]
        return [node.cpu for node in nodes] if one.field == "cpu" else [node.memory for node in nodes]


def _ties(dice: Dice, count: int) -> list[int]:
    """As many random numbers, in one throw: the dice may be a system call."""
    octets = dice.bits(TIE_BITS * count).to_bytes(TIE_BITS // 8 * count, "little")
    return memoryview(octets).cast("Q").tolist()


class Queue:
    """Nodes that fit, the best first, while tasks are placed on them.

    Each part is a heap. Placing a task changes the rank of its own node, which is put back with the new one, and,
    where a spread by attribute follows another strategy, the rank of its like: these only grow, so a node that
    comes up is looked at again and put back if others are better now. Either way each `pop` gives the true best.
    """

    def __init__(self, fitting: Sequence[Node], order: Order, count: int, dice: Dice) -> None:
        self._order = order
        self._dice = dice
        self._numbers = itertools.count(len(fitting))
        entries = zip(order.ranks(fitting), _ties(dice, len(fitting)), range(len(fitting)), fitting, strict=True)
        self._parts: dict[tuple[str, ...], list[_Entry]] = {}
        if order.names:
            for part, entry in zip(values_of_all(fitting, order.names), entries, strict=True):
                self._parts.setdefault(part, []).append(entry)
        elif fitting:
            self._parts[()] = list(entries)
        for part, heap in self._parts.items():
            # `count` tasks never reach beyond the `count` best, unless ranks shift; a sorted list is a heap.
            if order.shifts or count * 8 > len(heap):
                heapq.heapify(heap)
            else:
                self._parts[part] = heapq.nsmallest(count, heap)

    def pop(self) -> Node | None:
        """The best node, which leaves the queue; None where there is none left."""
        while self._parts:
            part = self._best_part()
            heap = self._parts[part]
            rank, tie, number, node = heapq.heappop(heap)
            now = self._order.ranks((node,))[0] if self._order.shifts else rank
            if now != rank:
                heapq.heappush(heap, (now, tie, number, node))
                continue
            if not heap:
                del self._parts[part]
            return node
        return None

    def placed(self, node: Node, *, still_fits: bool) -> None:
        """A task was placed: `node` is what that left, and comes back if one more would fit."""
        self._order.placed(node)
        if still_fits:
            part = values(node, self._order.names)
            rank, tie = self._order.ranks((node,))[0], self._dice.bits(TIE_BITS)
            heapq.heappush(self._parts.setdefault(part, []), (rank, tie, next(self._numbers), node))

    def _best_part(self) -> tuple[str, ...]:
        if len(self._parts) == 1:
            return next(iter(self._parts))
        ranks = {part: self._order.part_rank(part) for part in self._parts}
        least = min(ranks.values())
        best = [part for part, rank in ranks.items() if rank == least]
        return best[below(self._dice, len(best))]
