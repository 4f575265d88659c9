"""What a container has used of its host: counters since its start, as the kernel keeps them. Values only."""

from __future__ import annotations

import msgspec


class BlockIo(msgspec.Struct, frozen=True, kw_only=True):
    """Of one block device."""

    major: int
    minor: int
    read_bytes: int = 0
    write_bytes: int = 0
    reads: int = 0
    writes: int = 0


class LinkUse(msgspec.Struct, frozen=True, kw_only=True):
    """Of a sandbox's network link, as its containers see it."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class CpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds, except where a name says otherwise."""

    total_ns: int = 0
    user_ns: int = 0
    system_ns: int = 0
    host_ns: int = 0  # of all CPUs of the host, idle time included
    host_cpus: int = 1
    periods: int = 0  # of a ceiling on CPU time, where there is one
    throttled_periods: int = 0
    throttled_ns: int = 0


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True):
    usage_bytes: int = 0
    max_bytes: int = 0
    limit_bytes: int = 0  # the host's memory where the container has no limit of its own
    reclaimable_bytes: int = 0  # file cache that nobody would miss: what telemetry does not count
    stats: dict[str, int] = {}  # the kernel's own names


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    at_s: float
    cpu: CpuUse = CpuUse()
    memory: MemoryUse = MemoryUse()
    processes: int = 0
    blocks: tuple[BlockIo, ...] = ()
    link: LinkUse | None = None  # shared by the containers of a sandbox; None without a link of its own


class HostClock(msgspec.Struct, frozen=True, kw_only=True):
    """How far the host's clock may be off, by its own account."""

    at_s: float
    error_bound_ms: float | None  # None: nobody keeps it
    synchronized: bool
