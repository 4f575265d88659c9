"""The runtime alone: `crun run` in a network namespace and a cgroup that stand ready: the floor under every platform.

crun refuses to work beside the v2 tree of a hybrid host, so it is started by a shell in a mount namespace without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.cgroups import remove_group

NAME: Final = "moorage-bench-crun"
LINK: Final = "mbcrun0"
GATEWAY: Final = "10.230.0.1"
ADDRESS: Final = "10.230.0.2"
PATIENCE_S: Final = 10.0
# Each line on its input starts the container once.
_LAUNCHER: Final = """
umount /sys/fs/cgroup/unified 2>/dev/null
while read -r line; do
    ( echo 0 >{tasks} && exec crun --root {folder}/state --cgroup-manager=disabled run \
        --pid-file {folder}/pid --bundle {folder} {name} ) </dev/null &
    wait
done
"""


class Crun:
    """A bundle that can be run again and again."""

    def __init__(self, folder: Path, launcher: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._launcher = launcher
        self.gateway = GATEWAY

    def start(self) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.write(b"\n")
        self._launcher.stdin.flush()

    def remove(self) -> None:
        """End the container; crun, which waits for it, then removes its own traces."""
        state = self._folder / "state" / NAME
        deadline_s = time.monotonic() + PATIENCE_S
        while not (self._folder / "pid").exists() and time.monotonic() < deadline_s:
            time.sleep(0.002)
        os.kill(int((self._folder / "pid").read_text()), signal.SIGKILL)
        while state.exists() and time.monotonic() < deadline_s:
            time.sleep(0.002)
        (self._folder / "pid").unlink()

    def close(self) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        self._launcher.wait(PATIENCE_S)


@contextlib.contextmanager
def prepared(folder: Path, root: Path, command: list[str], memory_bytes: int) -> Iterator[Crun]:
    """A bundle over `root`, a limited cgroup, and a namespace with a link and an address."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as undo:
        undo.callback(remove_group, NAME)
        tasks = _limited_group(memory_bytes)
        _ip("netns", "add", NAME)
        undo.callback(_ip, "netns", "delete", NAME)
        _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAME)
        _ip("address", "add", f"{GATEWAY}/24", "dev", LINK)
        _ip("link", "set", LINK, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{ADDRESS}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            _ip("-netns", NAME, *words)
        subprocess.run(["crun", "spec"], cwd=folder, check=True)
        config = folder / "config.json"
        config.write_text(json.dumps(_adapted(json.loads(config.read_text()), root, command)))
        script = _LAUNCHER.format(tasks=tasks, folder=folder, name=NAME)
        crun = Crun(folder, subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE))
        undo.callback(crun.close)
        yield crun


def _limited_group(memory_bytes: int) -> Path:
    """The file by which a process enters a new group with a memory limit."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        group, limit, entrance = Path("/sys/fs/cgroup") / NAME, "memory.max", "cgroup.procs"
    else:
        group, limit, entrance = Path("/sys/fs/cgroup/memory") / NAME, "memory.limit_in_bytes", "tasks"
    group.mkdir()
    (group / limit).write_text(str(memory_bytes))
    return group / entrance


def _adapted(bundle: dict[str, Any], root: Path, command: list[str]) -> dict[str, Any]:
    """crun's own example of a bundle, with our command and namespace."""
    bundle["process"] |= {"terminal": False, "args": command}
    bundle["root"] = {"path": str(root), "readonly": True}
    for namespace in bundle["linux"]["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = f"/run/netns/{NAME}"
    return bundle


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
