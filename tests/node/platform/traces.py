"""What installations leave on a machine, so that a test can show that nothing is left."""

from __future__ import annotations

import subprocess
from pathlib import Path


def traces() -> dict[str, set[str]]:
    """Every kind of thing that Moorage makes on a host, as it is now."""
    return {
        "links": {line.split(":")[1].split("@")[0].strip() for line in _lines("ip", "-o", "link")},
        "routes": set(_lines("ip", "route", "show", "table", "all")),
        "rules": set(_lines("nft", "list", "tables")),
        "namespaces": set(_lines("ip", "netns", "list")),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("*/moorage*")},
        "processes": {name for pid in Path("/proc").glob("[0-9]*") if (name := _moorage(pid))},
    }


def _lines(*words: str) -> list[str]:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def _moorage(pid: Path) -> str | None:
    try:
        words = (pid / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    if any(word.startswith(b"moorage.boot") for word in words) or words[0].rpartition(b"/")[2] in (b"conmon", b"crun"):
        return f"{pid.name} {b' '.join(words).decode(errors='replace')}"
    return None
