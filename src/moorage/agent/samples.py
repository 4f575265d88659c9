"""What the node's containers used, looked at again and again: the basis of statistics and telemetry. Pure.

Counters only rise, so what was used between two looks is their difference. Where a counter is lower than before, its
container was started anew, and the difference is what it has used since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from moorage.agent.spec import ContainerId
from moorage.agent.usage import LinkUse, Usage
from moorage.link.tcs import ContainerMetric, CounterSet, NetworkStatsSet, StatsSet, StorageStatsSet

# The published agent's wait between two looks where it does not follow a stream.
SAMPLE_EVERY_S: Final = 10.0
# Kept for the next round of telemetry: three rounds, should the control plane be away for a while.
KEPT: Final = 7
_MIB: Final = 1 << 20


class Samples:
    """The last looks at each container that runs."""

    def __init__(self) -> None:
        self._looks: dict[ContainerId, list[Usage]] = {}

    def take(self, looks: Mapping[ContainerId, Usage]) -> None:
        """One look at all containers; those it does not name are gone."""
        self._looks = {
            container: [*self._looks.get(container, [])[1 - KEPT :], usage] for container, usage in looks.items()
        }

    def last(self, container: ContainerId) -> Usage | None:
        looks = self._looks.get(container)
        return looks[-1] if looks else None

    def drain(self, container: ContainerId) -> list[Usage]:
        """The looks since the last call, with the one before them to compare with."""
        looks = self._looks.get(container, [])
        if looks:
            self._looks[container] = looks[-1:]
        return looks


def metric(name: str, looks: list[Usage], *, sharing: int) -> ContainerMetric | None:
    """The statistics sets of one container between the first look and the last; None where there was no second one.

    `sharing` containers have the sandbox's link in common: each is told its even part, as the published agent does.
    """
    steps = [
        (before, after, after.at_s - before.at_s) for before, after in pairwise(looks) if after.at_s > before.at_s
    ]
    if not steps:
        return None
    return ContainerMetric(
        container_name=name,
        cpu_stats_set=_set(
            100 * _rise(before.cpu.total_ns, after.cpu.total_ns) / (1e9 * spent_s * after.cpu.host_cpus)
            for before, after, spent_s in steps
        ),
        memory_stats_set=_set(
            max(0, after.memory.usage_bytes - after.memory.reclaimable_bytes) // _MIB for _, after, _ in steps
        ),
        network_stats_set=_network(steps, sharing),
        storage_stats_set=StorageStatsSet(
            read_size_bytes=_counted(_rise(_read(before), _read(after)) for before, after, _ in steps),
            write_size_bytes=_counted(_rise(_written(before), _written(after)) for before, after, _ in steps),
        ),
    )


def _network(steps: list[tuple[Usage, Usage, float]], sharing: int) -> NetworkStatsSet | None:
    links = [(b.link, a.link, spent_s) for b, a, spent_s in steps if b.link is not None and a.link is not None]
    if not links:
        return None

    def rises(counter: str) -> list[int]:
        return [_rise(_value(before, counter), _value(after, counter)) // sharing for before, after, _ in links]

    def rates(counter: str) -> StatsSet:
        return _set(rise / spent_s for rise, (_, _, spent_s) in zip(rises(counter), links, strict=True))

    return NetworkStatsSet(
        rx_bytes=_counted(rises("rx_bytes")),
        rx_bytes_per_second=rates("rx_bytes"),
        rx_dropped=_counted(rises("rx_dropped")),
        rx_errors=_counted(rises("rx_errors")),
        rx_packets=_counted(rises("rx_packets")),
        tx_bytes=_counted(rises("tx_bytes")),
        tx_bytes_per_second=rates("tx_bytes"),
        tx_dropped=_counted(rises("tx_dropped")),
        tx_errors=_counted(rises("tx_errors")),
        tx_packets=_counted(rises("tx_packets")),
    )


def _value(link: LinkUse, counter: str) -> int:
    value: int = getattr(link, counter)
    return value


def _read(usage: Usage) -> int:
    return sum(block.read_bytes for block in usage.blocks)


def _written(usage: Usage) -> int:
    return sum(block.write_bytes for block in usage.blocks)


def _rise(before: int, after: int) -> int:
    return after - before if after >= before else after


def _set(values: Iterable[float]) -> StatsSet:
    found = list(values)
    return StatsSet(min=min(found), max=max(found), sum=sum(found), sample_count=len(found))


def _counted(values: Iterable[int]) -> CounterSet:
    found = list(values)
    return CounterSet(min=min(found), max=max(found), sum=sum(found), sample_count=len(found))
