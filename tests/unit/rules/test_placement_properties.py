"""What placement never does, whatever the cluster looks like."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from moorage.base.ids import ContainerInstanceArn
from moorage.model.container_instance import Resources
from moorage.model.node import Node
from moorage.rules.placement import Placement, Want, filters, place, place_on_fleet
from moorage.rules.placement_order import ZONE, Strategy
from moorage.store.usage import GroupUsage
from tests.unit.rules.nodes import group, node, pool
from tests.unit.support import SeededDice

ZONES = ("a", "b", "c")
ports = st.lists(st.integers(80, 83), unique=True, max_size=2).map(tuple)
# Above 32 nodes chance is tried first; both ways must keep the same promises.
clusters = st.lists(
    st.builds(
        lambda cpu, memory, zone, taken, connected: (cpu, memory, zone, taken, connected),
        st.integers(0, 40),
        st.integers(0, 40),
        st.sampled_from(ZONES),
        ports,
        st.booleans(),
    ),
    max_size=45,
).map(
    lambda rows: [
        node(number, cpu=cpu, memory=memory, zone=zone, ports=taken, connected=connected)
        for number, (cpu, memory, zone, taken, connected) in enumerate(rows)
    ]
)
wants = st.builds(
    lambda cpu, memory, tcp, distinct, strategies: Want(
        Resources(cpu=cpu, memory=memory, ports_tcp=tcp), (), distinct, tuple(strategies)
    ),
    st.integers(0, 20),
    st.integers(0, 20),
    ports,
    st.booleans(),
    st.lists(
        st.sampled_from(
            [
                Strategy("random"),
                Strategy("spread", "instanceId"),
                Strategy("spread", ZONE),
                Strategy("binpack", "cpu"),
                Strategy("binpack", "memory"),
            ]
        ),
        max_size=3,
    ),
)
groups = st.lists(st.tuples(st.integers(0, 44), st.sampled_from(ZONES)), max_size=6).map(lambda at: group(*at))


def after(nodes: list[Node], want: Want, placement: Placement) -> list[Node]:
    """The nodes when all that was decided is done."""
    left = {one.arn: one for one in nodes}
    for choice in placement.chosen:
        left[choice.node.arn] = left[choice.node.arn].without(want.resources)
    return list(left.values())


def check(nodes: list[Node], want: Want, there: GroupUsage, count: int, placement: Placement) -> None:
    counts = Counter(choice.node.arn for choice in placement.chosen)
    for one in after(nodes, want, placement):
        if counts[one.arn]:
            assert one.ready
            assert one.cpu >= 0
            assert one.memory >= 0
            assert len(set(one.ports_tcp)) == len(one.ports_tcp)
    if want.distinct:
        assert not counts or max(counts.values()) == 1
        assert not set(counts) & set(there.on_instance)
    assert (placement.refusal is None) == (len(placement.chosen) == count)


def nothing_fits(nodes: list[Node], want: Want, taken: set[ContainerInstanceArn]) -> bool:
    for one in filters(want, taken):
        nodes = one.keep(nodes)
    return not nodes


@given(nodes=clusters, want=wants, there=groups, count=st.integers(1, 10), seed=st.integers(0, 1 << 32))
def test_nothing_is_overcommitted_and_only_what_fits_nowhere_is_refused(
    nodes: list[Node], want: Want, there: GroupUsage, count: int, seed: int
) -> None:
    placement = place(want, count, pool(nodes), there, SeededDice(seed))
    check(nodes, want, there, count, placement)
    if placement.refusal is not None:
        taken = set(there.on_instance) | {choice.node.arn for choice in placement.chosen}
        assert nothing_fits(after(nodes, want, placement), want, taken if want.distinct else set())


@given(nodes=clusters, want=wants, there=groups, count=st.integers(1, 10), seed=st.integers(0, 1 << 32))
def test_the_fleet_is_not_overcommitted_either(
    nodes: list[Node], want: Want, there: GroupUsage, count: int, seed: int
) -> None:
    want = Want(want.resources)
    placement = place_on_fleet(want, count, pool(nodes), there, ("a", "b"), SeededDice(seed))
    check(nodes, want, there, count, placement)
    assert all(choice.zone in ("a", "b") and choice.node.zone == choice.zone for choice in placement.chosen)
    if placement.refusal is not None:
        here = [one for one in after(nodes, want, placement) if one.zone in ("a", "b")]
        assert nothing_fits(here, want, set())


@given(nodes=clusters, there=groups, count=st.integers(1, 10), seed=st.integers(0, 1 << 32))
def test_spread_over_instances_always_takes_one_with_the_fewest(
    nodes: list[Node], there: GroupUsage, count: int, seed: int
) -> None:
    want = Want(Resources(cpu=1, memory=1), (), strategies=(Strategy("spread", "instanceId"),))
    placement = place(want, count, pool(nodes), there, SeededDice(seed))
    left = {one.arn: one for one in nodes}
    counts = Counter(there.on_instance)
    for choice in placement.chosen:
        fitting = [one for one in left.values() if one.ready and one.cpu >= 1 and one.memory >= 1]
        assert counts[choice.node.arn] == min(counts[one.arn] for one in fitting)
        counts[choice.node.arn] += 1
        left[choice.node.arn] = left[choice.node.arn].without(want.resources)
