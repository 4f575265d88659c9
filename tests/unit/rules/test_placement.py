"""Which nodes a task may be on, and what is said where there is none."""

from __future__ import annotations

from moorage.model.container_instance import Resources
from moorage.model.node import Node
from moorage.rules.placement import Placement, Want, check, place
from moorage.rules.placement_filters import Attributes, Zones, architecture, operating_system
from tests.unit.rules.nodes import NO_GROUP, node, pool
from tests.unit.support import SeededDice

SMALL = Resources(cpu=128, memory=128)


def placed(want: Want, *nodes: Node, count: int = 1) -> Placement:
    return place(want, count, pool(nodes), NO_GROUP, SeededDice())


def test_a_task_goes_where_it_fits() -> None:
    placement = placed(Want(SMALL), node(1, memory=64), node(2, cpu=64), node(3))
    assert [choice.node.arn for choice in placement.chosen] == ["instance-3"]
    assert placement.refusal is None


def test_each_node_counts_for_the_first_thing_that_is_wrong_with_it() -> None:
    want = Want(SMALL, tuple(architecture("ARM64")))
    nodes = [node(i, memory=64) for i in range(3)] + [node(i, cpu_architecture="x86_64") for i in (3, 4)]
    refusal = placed(want, *nodes).refusal
    assert refusal is not None
    assert refusal.detail == "5 nodes: 3 lack memory, 2 have another CPU architecture"
    assert refusal.reason == "ATTRIBUTE"
    assert refusal.instance in ("instance-3", "instance-4")


def test_the_closest_node_is_the_one_with_the_most_room() -> None:
    refusal = placed(Want(SMALL), node(1, memory=20), node(2, memory=100), node(3, memory=50)).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.instance) == ("RESOURCE:MEMORY", "instance-2")
    assert refusal.detail == "3 nodes: 3 lack memory"


def test_one_node_is_told_of_in_the_singular() -> None:
    refusal = placed(Want(SMALL), node(1, connected=False)).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.detail) == ("AGENT", "1 node: 1 is draining or disconnected")


def test_what_is_placed_first_leaves_less_for_the_next() -> None:
    placement = placed(Want(Resources(cpu=600, memory=1)), node(1), node(2), count=3)
    assert {choice.node.arn for choice in placement.chosen} == {"instance-1", "instance-2"}
    assert placement.refusal is not None
    assert placement.refusal.reason == "RESOURCE:CPU"


def test_a_host_port_is_given_once() -> None:
    placement = placed(Want(Resources(cpu=1, memory=1, ports_tcp=(80,))), node(1), node(2, ports=(80,)), count=2)
    assert [choice.node.arn for choice in placement.chosen] == ["instance-1"]
    assert placement.refusal is not None
    assert placement.refusal.reason == "RESOURCE:PORTS"
    assert placement.refusal.detail == "2 nodes: 2 have a needed port in use"


def test_tcp_and_udp_ports_do_not_meet() -> None:
    want = Want(Resources(cpu=1, memory=1, ports_udp=(53,)))
    assert placed(want, node(1, ports=(53,))).refusal is None


def test_required_attributes_must_all_be_there() -> None:
    want = Want(SMALL, (Attributes(frozenset(("ecs.gpu", "ecs.os-type"))),))
    placement = placed(want, node(1, os_type="linux"), node(2, os_type="linux", gpu=""))
    assert [choice.node.arn for choice in placement.chosen] == ["instance-2"]


def test_a_node_without_a_zone_serves_every_zone() -> None:
    want = Want(SMALL, (Zones(frozenset(("b",))),))
    assert placed(want, node(1, zone="a")).refusal is not None
    assert placed(want, node(1, zone=None)).refusal is None


def test_windows_tasks_are_not_placed_on_linux() -> None:
    want = Want(SMALL, tuple(operating_system("WINDOWS_SERVER_2022_CORE")))
    refusal = placed(want, node(1, os_type="linux")).refusal
    assert refusal is not None
    assert refusal.detail == "1 node: 1 has another operating system"


def test_distinct_instances_hold_one_task_of_the_group_each() -> None:
    placement = placed(Want(SMALL, distinct=True), node(1), node(2), count=3)
    assert len({choice.node.arn for choice in placement.chosen}) == 2
    assert placement.refusal is not None
    assert placement.refusal.reason == "DistinctInstance placement constraint unsatisfied."


def test_distinct_instances_hold_in_a_cluster_so_large_that_nodes_are_thrown() -> None:
    placement = placed(Want(SMALL, distinct=True), *(node(i) for i in range(50)), count=50)
    assert len({choice.node.arn for choice in placement.chosen}) == 50


def test_a_node_that_the_caller_chose_is_checked_like_any_other() -> None:
    assert check(Want(SMALL), node(1), NO_GROUP) is None
    refusal = check(Want(SMALL), node(1, memory=1), NO_GROUP)
    assert refusal is not None
    assert (refusal.reason, refusal.instance) == ("RESOURCE:MEMORY", "instance-1")
