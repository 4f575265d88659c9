"""Reads what containers use from their cgroups and links: small files of the kernel, some ten for each container."""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from moorage.agent.drivers.cgroups import CGROUP_ROOT
from moorage.agent.usage import BlockIo, CpuUse, LinkUse, MemoryUse, Usage

_NS_PER_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_NS_PER_US: Final = 1000
_HOST_CPU_FIELDS: Final = 8  # user to steal; guest time, which follows, is in user time already
_LINKS: Final = Path("/sys/class/net")


def read(path: str, link: str, *, unified: bool) -> Usage | None:
    """Of the container with the cgroup `path`, relative to a hierarchy's root, and of its sandbox's `link`
    ("" where it has none) by its name on the host. None where the cgroup is gone."""
    try:
        return _read(path, link, unified=unified)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):  # the latter: removed between opening a file and reading it
            return None
        raise


def _read(path: str, link: str, *, unified: bool) -> Usage:
    cpu, memory = _unified(CGROUP_ROOT / path) if unified else _separate(path)
    if unified:
        pids, blocks = CGROUP_ROOT / path / "pids.current", _blocks(CGROUP_ROOT / path / "io.stat")
    else:
        pids, blocks = CGROUP_ROOT / "pids" / path / "pids.current", _blocks_v1(CGROUP_ROOT / "blkio" / path)
    return Usage(
        at_s=time.time(),
        cpu=cpu,
        memory=memory,
        processes=_number(pids),
        blocks=blocks,
        link=_link(link) if link else None,
    )


def _unified(home: Path) -> tuple[CpuUse, MemoryUse]:
    cpu, memory = _table(home / "cpu.stat"), _table(home / "memory.stat")
    return (
        _cpu(
            total_ns=cpu.get("usage_usec", 0) * _NS_PER_US,
            user_ns=cpu.get("user_usec", 0) * _NS_PER_US,
            system_ns=cpu.get("system_usec", 0) * _NS_PER_US,
            limits=cpu,
            throttled_ns=cpu.get("throttled_usec", 0) * _NS_PER_US,
        ),
        _memory(home / "memory.current", home / "memory.peak", home / "memory.max", memory, "inactive_file"),
    )


def _separate(path: str) -> tuple[CpuUse, MemoryUse]:
    accounts, memory = CGROUP_ROOT / "cpuacct" / path, CGROUP_ROOT / "memory" / path
    limits = _table(CGROUP_ROOT / "cpu" / path / "cpu.stat")
    return (
        _cpu(
            total_ns=int((accounts / "cpuacct.usage").read_text()),
            user_ns=_number(accounts / "cpuacct.usage_user"),
            system_ns=_number(accounts / "cpuacct.usage_sys"),
            limits=limits,
            throttled_ns=limits.get("throttled_time", 0),
        ),
        _memory(
            memory / "memory.usage_in_bytes",
            memory / "memory.max_usage_in_bytes",
            memory / "memory.limit_in_bytes",
            _table(memory / "memory.stat"),
            "total_cache",
        ),
    )


def _cpu(*, total_ns: int, user_ns: int, system_ns: int, limits: Mapping[str, int], throttled_ns: int) -> CpuUse:
    with open("/proc/stat", "rb") as file:
        host = file.readline().split()[1 : 1 + _HOST_CPU_FIELDS]
    return CpuUse(
        total_ns=total_ns,
        user_ns=user_ns,
        system_ns=system_ns,
        host_ns=sum(map(int, host)) * _NS_PER_TICK,
        host_cpus=os.cpu_count() or 1,
        periods=limits.get("nr_periods", 0),
        throttled_periods=limits.get("nr_throttled", 0),
        throttled_ns=throttled_ns,
    )


def _memory(usage: Path, peak: Path, limit: Path, stats: dict[str, int], reclaimable: str) -> MemoryUse:
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return MemoryUse(
        usage_bytes=int(usage.read_text()),
        max_bytes=_number(peak),
        limit_bytes=min(_number(limit) or host, host),
        reclaimable_bytes=stats.get(reclaimable, 0),
        stats=stats,
    )


def _blocks(file: Path) -> tuple[BlockIo, ...]:
    """v2: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`, a line for each device."""
    found = []
    for device, *words in _words(file):
        major, _, minor = device.partition(":")
        use = dict(word.split("=") for word in words)
        found.append(
            BlockIo(
                major=int(major),
                minor=int(minor),
                read_bytes=int(use.get("rbytes", 0)),
                write_bytes=int(use.get("wbytes", 0)),
                reads=int(use.get("rios", 0)),
                writes=int(use.get("wios", 0)),
            )
        )
    return tuple(found)


def _blocks_v1(home: Path) -> tuple[BlockIo, ...]:
    """v1: `8:0 Read 1`, a line for each device and kind, in a file for bytes and one for requests."""
    uses: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, unit in (("io_service_bytes", "bytes"), ("io_serviced", "count")):
        for words in _words(home / f"blkio.throttle.{name}_recursive"):
            if len(words) == 3:  # the last line is a total
                uses[words[0]][f"{words[1]} {unit}"] = int(words[2])
    found = []
    for device, use in uses.items():
        major, _, minor = device.partition(":")
        found.append(
            BlockIo(
                major=int(major),
                minor=int(minor),
                read_bytes=use.get("Read bytes", 0),
                write_bytes=use.get("Write bytes", 0),
                reads=use.get("Read count", 0),
                writes=use.get("Write count", 0),
            )
        )
    return tuple(found)


def _link(name: str) -> LinkUse | None:
    """The host's end of a pair: what it sends is what the sandbox receives."""

    def counted(counter: str) -> int:
        return int((_LINKS / name / "statistics" / counter).read_text())

    try:
        return LinkUse(
            rx_bytes=counted("tx_bytes"),
            rx_packets=counted("tx_packets"),
            rx_errors=counted("tx_errors"),
            rx_dropped=counted("tx_dropped"),
            tx_bytes=counted("rx_bytes"),
            tx_packets=counted("rx_packets"),
            tx_errors=counted("rx_errors"),
            tx_dropped=counted("rx_dropped"),
        )
    except OSError:  # the sandbox is being removed: its link goes before its files
        return None


def _words(file: Path) -> Iterator[list[str]]:
    try:
        text = file.read_text()
    except FileNotFoundError:  # this host has no such controller
        return
    yield from (line.split() for line in text.splitlines() if line.strip())


def _table(file: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for words in _words(file) if len(words) == 2}


def _number(file: Path) -> int:
    """0 where the file is not there, or says `max`."""
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() else 0
