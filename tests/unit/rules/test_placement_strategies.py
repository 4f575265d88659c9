"""In which order nodes are taken that a task could be on."""

from __future__ import annotations

from collections import Counter

import pytest

from moorage.base.errors import Refused
from moorage.model.container_instance import Resources
from moorage.model.node import Node
from moorage.rules.placement import FARGATE_FULL, Want, place, place_on_fleet
from moorage.rules.placement_order import ZONE, Strategy, strategy
from moorage.store.usage import GroupUsage
from tests.unit.rules.nodes import NO_GROUP, group, node, pool
from tests.unit.support import SeededDice

SMALL = Resources(cpu=10, memory=10)
BY_ZONE = Strategy("spread", ZONE)
BY_INSTANCE = Strategy("spread", "instanceId")
MANY = 60  # nodes; enough for chance to be tried before all are looked at


def chosen(
    strategies: tuple[Strategy, ...], nodes: list[Node], count: int, there: GroupUsage = NO_GROUP, seed: int = 1
) -> list[Node]:
    placement = place(Want(SMALL, strategies=strategies), count, pool(nodes), there, SeededDice(seed))
    assert placement.refusal is None
    return [choice.node for choice in placement.chosen]


def in_three_zones(count: int) -> list[Node]:
    return [node(number, zone="abc"[number % 3]) for number in range(count)]


@pytest.mark.parametrize("nodes", [6, MANY])
def test_spread_over_zones_is_even(nodes: int) -> None:
    zones = Counter(one.zone for one in chosen((BY_ZONE,), in_three_zones(nodes), 9))
    assert zones == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize("nodes", [6, MANY])
def test_spread_counts_the_tasks_that_the_group_has_already(nodes: int) -> None:
    there = group((0, "a"), (3, "a"), (1, "b"))
    zones = Counter(one.zone for one in chosen((BY_ZONE,), in_three_zones(nodes), 3, there))
    assert zones == {"b": 1, "c": 2}


@pytest.mark.parametrize("nodes", [6, MANY])
def test_spread_over_instances_fills_all_before_any_again(nodes: int) -> None:
    counts = Counter(one.arn for one in chosen((BY_INSTANCE,), in_three_zones(nodes), 2 * nodes))
    assert set(counts.values()) == {2}


def test_spread_by_another_attribute() -> None:
    racks = [node(number, rack="left" if number else "right") for number in range(5)]
    counts = Counter(one.attributes["ecs.rack"] for one in chosen((Strategy("spread", "ecs.rack"),), racks, 4))
    assert counts == {"left": 2, "right": 2}


def test_binpack_fills_the_fullest_node_that_has_room() -> None:
    nodes = [node(1, memory=500), node(2, memory=25), node(3, memory=9)]
    taken = [one.arn for one in chosen((Strategy("binpack", "memory"),), nodes, 3)]
    assert taken == ["instance-2", "instance-2", "instance-1"]


def test_binpack_by_cpu_looks_at_cpu() -> None:
    nodes = [node(1, cpu=500, memory=50), node(2, cpu=50, memory=500)]
    assert chosen((Strategy("binpack", "cpu"),), nodes, 1)[0].arn == "instance-2"


def test_a_later_strategy_decides_among_the_equals_of_the_earlier() -> None:
    nodes = [node(1, zone="a", memory=500), node(2, zone="a", memory=50), node(3, zone="b", memory=400)]
    taken = {one.arn for one in chosen((BY_ZONE, Strategy("binpack", "memory")), nodes, 2)}
    assert taken == {"instance-2", "instance-3"}


def test_a_spread_by_attribute_after_binpack_decides_among_equals() -> None:
    nodes = [node(1, zone="a", memory=100), node(2, zone="a", memory=100), node(3, zone="b", memory=100)]
    there = group((9, "a"))
    # The group's own node counts for its zone only while it is one of the cluster's.
    taken = chosen((Strategy("binpack", "memory"), BY_ZONE), [*nodes, node(9, zone="a", memory=5)], 1, there)
    assert taken[0].arn == "instance-3"


def test_random_reaches_every_node() -> None:
    nodes = in_three_zones(4)
    seen = {chosen((), nodes, 1, seed=seed)[0].arn for seed in range(60)}
    assert len(seen) == 4


def test_the_same_dice_choose_the_same() -> None:
    first, second = (chosen((BY_ZONE,), in_three_zones(MANY), 10, seed=7) for _ in range(2))
    assert [one.arn for one in first] == [one.arn for one in second]


@pytest.mark.parametrize("count", [3, MANY])
def test_fargate_spreads_over_the_zones_of_the_subnets(count: int) -> None:
    hosts = pool([node(number, zone=None) for number in range(count)])
    placement = place_on_fleet(Want(SMALL), 4, hosts, NO_GROUP, ("b", "c"), SeededDice())
    assert Counter(choice.zone for choice in placement.chosen) == {"b": 2, "c": 2}


def test_fargate_leaves_a_full_zone_out() -> None:
    hosts = pool([node(1, zone="a", memory=1), node(2, zone="b")])
    placement = place_on_fleet(Want(SMALL), 4, hosts, NO_GROUP, ("a", "b"), SeededDice())
    assert [choice.zone for choice in placement.chosen] == ["b"] * 4


def test_fargate_without_room_says_so_and_why() -> None:
    hosts = pool([node(1, memory=1), node(2, zone="b")])
    placement = place_on_fleet(Want(SMALL), 1, hosts, NO_GROUP, ("a",), SeededDice())
    assert placement.refusal is not None
    assert placement.refusal.reason == FARGATE_FULL
    assert placement.refusal.detail == "2 hosts: 1 lacks memory, 1 is in another availability zone"
    assert placement.refusal.instance is None


def test_fargate_without_hosts_says_so() -> None:
    placement = place_on_fleet(Want(SMALL), 1, pool([]), NO_GROUP, ("a",), SeededDice())
    assert placement.refusal is not None
    assert placement.refusal.detail == "no host has joined the Fargate fleet"


def test_fields_are_read_whatever_their_case() -> None:
    assert strategy("binpack", "MEMORY") == Strategy("binpack", "memory")
    assert strategy("spread", "InstanceId") == strategy("spread", "host") == BY_INSTANCE
    assert strategy("spread", "attribute:ecs.availability-zone") == BY_ZONE


@pytest.mark.parametrize(
    ("kind", "field"), [("random", "x"), ("binpack", "disk"), ("binpack", None), ("spread", ""), ("pile", None)]
)
def test_a_strategy_that_is_none_is_refused(kind: str, field: str | None) -> None:
    with pytest.raises(Refused, match=r"placement strategy") as refused:
        strategy(kind, field)
    assert refused.value.code == "InvalidParameterException"
