"""What an installation leaves on a machine, so that a test can show that nothing is left.

Only what bears the installation's own names or lies in its own home counts: others may live on the same machine.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
CLAIMS = Path("/run/moorage")


def traces(home: Path, settings: dict[str, Any]) -> dict[str, list[str]]:
    """Every kind of thing that Moorage makes on a host and that is still there for this installation; {} is none."""
    own_id = settings["id"]
    ranges = [settings["vpc_cidr"], *(node["bridge_cidr"] for node in settings["nodes"])]
    found = {
        "links": _having(_lines("ip", "-o", "link"), f" mr{own_id[:4]}"),
        "routes": list(_routes([ipaddress.IPv4Network(one) for one in ranges])),
        "rules": _having(_lines("nft", "list", "tables"), f"moorage_{own_id}_"),
        "mounts": _having(Path("/proc/self/mountinfo").read_text().splitlines(), f"{home}/"),
        "cgroups": [str(path) for depth in ("*", "*/*") for path in CGROUPS.glob(f"{depth}/moorage-{own_id}")],
        "claims": _claims(home, own_id),
        "processes": list(_processes(f"{home}/", f"moorage-{own_id}")),
    }
    return {kind: things for kind, things in found.items() if things}


def container_pids(settings: dict[str, Any], task_id: str) -> dict[int, str]:
    """A task's processes on this host, pid to start time. Equal before and after: none was restarted."""
    pids: dict[int, str] = {}
    for top in (*CGROUPS.glob(f"*/moorage-{settings['id']}"), *CGROUPS.glob(f"moorage-{settings['id']}")):
        for procs in top.rglob("cgroup.procs"):
            if any(part.startswith(f"{task_id}-") for part in procs.parts):
                for pid in procs.read_text().split():
                    pids[int(pid)] = _start_time(int(pid))
    return pids


def first_process(settings: dict[str, Any], task_id: str) -> int:
    """The pid on this host of what is process 1 in the task's container."""
    for pid in container_pids(settings, task_id):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        if next(line for line in status if line.startswith("NSpid:")).split()[-1] == "1":
            return pid
    raise AssertionError(f"{task_id} has no first process")


def _lines(*words: str) -> list[str]:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def _having(lines: Iterable[str], part: str) -> list[str]:
    return [line for line in lines if part in line]


def _routes(ranges: list[ipaddress.IPv4Network]) -> Iterable[str]:
    for route in json.loads("".join(_lines("ip", "-j", "-4", "route", "show", "table", "all"))):
        if route["dst"] != "default":
            to = ipaddress.IPv4Network(route["dst"])
            if any(to.subnet_of(one) for one in ranges):
                yield str(route)


def _claims(home: Path, own_id: str) -> list[str]:
    if not CLAIMS.exists():
        return []
    return [
        str(path)
        for path in CLAIMS.rglob("*")
        if own_id in path.name or (path.is_symlink() and os.readlink(path).startswith(f"{home}/"))
    ]


def _processes(*parts: str) -> Iterable[str]:
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            words = (pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cgroup = (pid / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(part in words or part in cgroup for part in parts):
            yield f"{pid.name} {words}"


def _start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
