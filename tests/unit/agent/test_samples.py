"""From counters to the statistics sets of telemetry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.agent.samples import KEPT, Samples, metric
from moorage.agent.spec import ContainerId
from moorage.agent.usage import BlockIo, CpuUse, LinkUse, MemoryUse, Usage

MIB = 1 << 20
ONE = ContainerId("1-0")


def look(at_s: float, *, cpu_s: float = 0.0, mib: int = 0, cache_mib: int = 0, rx: int = 0, read: int = 0) -> Usage:
    return Usage(
        at_s=at_s,
        cpu=CpuUse(total_ns=int(cpu_s * 1e9), host_cpus=2),
        memory=MemoryUse(usage_bytes=mib * MIB, reclaimable_bytes=cache_mib * MIB),
        blocks=(BlockIo(major=8, minor=0, read_bytes=read),),
        link=LinkUse(rx_bytes=rx),
    )


def test_sets_are_made_of_what_rose_between_two_looks() -> None:
    looks = [
        look(0, rx=100),
        look(10, cpu_s=1, mib=40, cache_mib=8, rx=300, read=7),
        look(20, cpu_s=3, mib=30, rx=300),
    ]
    found = metric("app", looks, sharing=1)
    assert found is not None
    assert found.container_name == "app"
    cpu, memory = found.cpu_stats_set, found.memory_stats_set
    assert cpu is not None
    assert (cpu.min, cpu.max, cpu.sum, cpu.sample_count) == (5.0, 10.0, 15.0, 2)
    assert memory is not None
    assert (memory.min, memory.max, memory.sum, memory.sample_count) == (30, 32, 62, 2)
    assert found.network_stats_set is not None
    received, rate = found.network_stats_set.rx_bytes, found.network_stats_set.rx_bytes_per_second
    assert received is not None
    assert (received.min, received.max, received.sum) == (0, 200, 200)
    assert rate is not None
    assert rate.max == 20.0


def test_containers_that_share_a_link_are_told_an_even_part() -> None:
    found = metric("app", [look(0), look(10, rx=90)], sharing=3)
    assert found is not None
    assert found.network_stats_set is not None
    assert found.network_stats_set.rx_bytes is not None
    assert found.network_stats_set.rx_bytes.sum == 30


@pytest.mark.parametrize("looks", [[], [look(0)], [look(5), look(5)]])
def test_nothing_is_told_of_what_was_not_looked_at_twice(looks: list[Usage]) -> None:
    assert metric("app", looks, sharing=1) is None


def test_a_counter_that_began_anew_counts_from_there() -> None:
    found = metric("app", [look(0, rx=1000), look(10, rx=5)], sharing=1)
    assert found is not None
    assert found.network_stats_set is not None
    assert found.network_stats_set.rx_bytes is not None
    assert found.network_stats_set.rx_bytes.sum == 5


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_no_rise_is_told_twice_and_none_is_lost_while_rounds_come(rises: list[int], rounds: list[bool]) -> None:
    samples = Samples()
    total, told, unread = 0, 0, 0
    samples.take({ONE: look(0)})
    for second, (rise, ends) in enumerate(zip(rises, rounds, strict=False), start=1):
        total += rise
        samples.take({ONE: look(second, rx=total)})
        unread += 1
        if ends or unread == KEPT - 1:
            told += _received(samples)
            unread = 0
    told += _received(samples)
    assert told == total


def _received(samples: Samples) -> int:
    found = metric("app", samples.drain(ONE), sharing=1)
    if found is None or found.network_stats_set is None or found.network_stats_set.rx_bytes is None:
        return 0
    return found.network_stats_set.rx_bytes.sum


def test_a_container_that_is_gone_is_forgotten() -> None:
    samples = Samples()
    samples.take({ONE: look(0)})
    samples.take({})
    assert samples.last(ONE) is None
    assert samples.drain(ONE) == []
