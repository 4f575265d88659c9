"""A container's statistics in the shape of the Docker Engine's, which version 4 of task metadata extends by rates."""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.agent.metadata.shapes import moment
from moorage.agent.usage import BlockIo, CpuUse, LinkUse, Usage

# What the engine says of a moment that never was.
_NEVER: Final = "0001-01-01T00:00:00Z"
LINK: Final = "eth0"


class CpuUsage(msgspec.Struct, frozen=True, kw_only=True):
    total_usage: int = 0
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class Throttling(msgspec.Struct, frozen=True, kw_only=True):
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    cpu_usage: CpuUsage
    system_cpu_usage: int = 0
    online_cpus: int = 0
    throttling_data: Throttling


class MemoryStats(msgspec.Struct, frozen=True, kw_only=True):
    usage: int
    max_usage: int
    stats: dict[str, int]
    limit: int


class BlockEntry(msgspec.Struct, frozen=True, kw_only=True):
    major: int
    minor: int
    op: str
    value: int


class BlockStats(msgspec.Struct, frozen=True, kw_only=True):
    io_service_bytes_recursive: tuple[BlockEntry, ...]
    io_serviced_recursive: tuple[BlockEntry, ...]
    io_queue_recursive: tuple[BlockEntry, ...] = ()
    io_service_time_recursive: tuple[BlockEntry, ...] = ()
    io_wait_time_recursive: tuple[BlockEntry, ...] = ()
    io_merged_recursive: tuple[BlockEntry, ...] = ()
    io_time_recursive: tuple[BlockEntry, ...] = ()
    sectors_recursive: tuple[BlockEntry, ...] = ()


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    current: int


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    rx_bytes_per_sec: float
    tx_bytes_per_sec: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    read: str
    preread: str
    pids_stats: Processes
    blkio_stats: BlockStats
    num_procs: int = 0
    storage_stats: dict[str, int] = {}
    cpu_stats: CpuStats
    precpu_stats: CpuStats
    memory_stats: MemoryStats
    name: str
    id: str
    networks: dict[str, LinkUse] | msgspec.UnsetType = msgspec.UNSET
    network_rate_stats: Rates | msgspec.UnsetType = msgspec.UNSET


def statistics(id_: str, name: str, now: Usage, before: Usage | None, *, rates: bool) -> Statistics:
    """`before` is an earlier look at the same container: the engine's statistics are made for taking differences."""
    link = now.link
    memory = now.memory
    return Statistics(
        read=moment(now.at_s) or _NEVER,
        preread=_NEVER if before is None else moment(before.at_s) or _NEVER,
        pids_stats=Processes(current=now.processes),
        blkio_stats=_blocks(now.blocks),
        cpu_stats=_cpu(now.cpu),
        precpu_stats=_cpu(CpuUse(host_cpus=0) if before is None else before.cpu),
        memory_stats=MemoryStats(
            usage=memory.usage_bytes, max_usage=memory.max_bytes, stats=memory.stats, limit=memory.limit_bytes
        ),
        name=f"/{name}",
        id=id_,
        networks=msgspec.UNSET if link is None else {LINK: link},
        network_rate_stats=_rates(now, before) if rates and link is not None else msgspec.UNSET,
    )


def _cpu(use: CpuUse) -> CpuStats:
    return CpuStats(
        cpu_usage=CpuUsage(
            total_usage=use.total_ns, usage_in_kernelmode=use.system_ns, usage_in_usermode=use.user_ns
        ),
        system_cpu_usage=use.host_ns,
        online_cpus=use.host_cpus,
        throttling_data=Throttling(
            periods=use.periods, throttled_periods=use.throttled_periods, throttled_time=use.throttled_ns
        ),
    )


def _blocks(blocks: tuple[BlockIo, ...]) -> BlockStats:
    def entries(kind: str, one: BlockIo, value: int) -> BlockEntry:
        return BlockEntry(major=one.major, minor=one.minor, op=kind, value=value)

    return BlockStats(
        io_service_bytes_recursive=tuple(
            entry
            for one in blocks
            for entry in (entries("read", one, one.read_bytes), entries("write", one, one.write_bytes))
        ),
        io_serviced_recursive=tuple(
            entry for one in blocks for entry in (entries("read", one, one.reads), entries("write", one, one.writes))
        ),
    )


def _rates(now: Usage, before: Usage | None) -> Rates:
    if before is None or before.link is None or now.link is None or now.at_s <= before.at_s:
        return Rates(rx_bytes_per_sec=0.0, tx_bytes_per_sec=0.0)
    spent_s = now.at_s - before.at_s
    return Rates(
        rx_bytes_per_sec=max(0, now.link.rx_bytes - before.link.rx_bytes) / spent_s,
        tx_bytes_per_sec=max(0, now.link.tx_bytes - before.link.tx_bytes) / spent_s,
    )
