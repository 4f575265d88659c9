"""Control groups of the node on v1, v2 and hybrid hosts: made, limited, read and removed.

One node owns `/moorage-<installation>/<agent>` in each hierarchy: below it `supervisors` (the processes that watch
containers) and one directory per sandbox with one per container inside. The sandbox's limits hold for the whole
task; the container's own are written by the OCI runtime.

A hybrid host (v1 controllers, an empty v2 tree beside them) is a v1 host here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from moorage.agent.drivers import processes
from moorage.agent.spec import ContainerSpec, DriverError, SandboxSpec

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
CPU_PERIOD_US: Final = 100_000  # the period in which a task definition's cpu is a ceiling
_V2_MAGIC_FILE: Final = CGROUP_ROOT / "cgroup.controllers"
_V2_CONTROLLERS: Final = ("cpu", "memory", "pids", "cpuset", "io")
_LIMITED_V1: Final = ("cpu", "memory", "pids")  # the hierarchies in which a sandbox has limits of its own
# Those in which a container has a cgroup of its own: limits, devices, and what statistics are read from.
_ENTERED_V1: Final = frozenset({"cpu", "cpu,cpuacct", "cpuacct", "memory", "pids", "devices", "blkio"})
_KILL_TIMEOUT_S: Final = 20.0  # a process in the middle of a disk write outlives SIGKILL for a while
_LINKS_OF_A_LEAF: Final = 2  # its name above, and its own "."
_REMOVE_TIMEOUT_S: Final = 20.0  # a cgroup stays busy until the last of its dead processes is reaped


class Cgroups:
    """The node's part of every cgroup hierarchy of this host."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.unified = _V2_MAGIC_FILE.exists()
        self._roots = (CGROUP_ROOT,) if self.unified else tuple(_v1_roots())
        names = {root.name for root in self._roots}
        missing = [] if self.unified else [name for name in _LIMITED_V1 if name not in names]
        if missing:
            reason = f"this host has no cgroup controller {' and '.join(missing)} under {CGROUP_ROOT}"
            raise DriverError("ResourceInitializationError", reason)

    def open(self) -> None:
        for root in self._roots:
            (root / self._path / "supervisors").mkdir(parents=True, exist_ok=True)
        if self.unified:
            for directory in (CGROUP_ROOT, CGROUP_ROOT / self._path.partition("/")[0], CGROUP_ROOT / self._path):
                _delegate(directory)

    def runtime_path(self, sandbox: str, container: str) -> str:
        """The container's cgroup as an OCI bundle names it."""
        return f"/{self._path}/{sandbox}/{container}"

    def enter_supervisors(self) -> None:
        """Put the calling thread, and so all it starts, among the supervisors (v1).

        A thread that moves itself needs no machine-wide lock; moving a process waits for every CPU (some 10 ms).
        On v2 a thread cannot leave its process: see `adopt_supervisor`.
        """
        if not self.unified:
            (CGROUP_ROOT / "pids" / self._path / "supervisors/tasks").write_bytes(b"0")

    def adopt_supervisor(self, pid: int) -> None:
        """Put a process that the calling thread started among the supervisors, where it isn't by birth (v2)."""
        if self.unified:
            with contextlib.suppress(ProcessLookupError):
                (CGROUP_ROOT / self._path / "supervisors/cgroup.procs").write_text(str(pid))

    def create_sandbox(self, spec: SandboxSpec) -> None:
        """Make the sandbox's cgroup and write its limits; again is harmless."""
        if self.unified:
            directory = CGROUP_ROOT / self._path / spec.id
            directory.mkdir(exist_ok=True)
            _delegate(directory)
            _write_v2_limits(directory, spec)
            return
        at = {name: CGROUP_ROOT / name / self._path / spec.id for name in _LIMITED_V1}
        for directory in at.values():
            directory.mkdir(exist_ok=True)
        (at["cpu"] / "cpu.shares").write_text(str(spec.cpu_shares))
        if spec.cpu_quota_us is not None:
            (at["cpu"] / "cpu.cfs_quota_us").write_text(str(spec.cpu_quota_us))
        if spec.memory_max_bytes is not None:
            (at["memory"] / "memory.limit_in_bytes").write_text(str(spec.memory_max_bytes))
        if spec.pids_max is not None:
            (at["pids"] / "pids.max").write_text(str(spec.pids_max))

    def create_container(self, spec: ContainerSpec, devices: Sequence[str]) -> tuple[str, ...]:
        """Make the container's cgroups with its limits; returns the files through which its first process enters.

        v1 only, where it spares the move of a running process, which waits for every CPU of the machine (20 ms
        on an idle one). On v2 there is nothing to spare: the answer is empty, and the runtime does it all.
        """
        if self.unified:
            return ()
        below = f"{self._path}/{spec.sandbox}/{spec.id}"
        at = {root.name: root / below for root in self._roots if root.name in _ENTERED_V1}
        for directory in at.values():
            directory.mkdir(parents=True, exist_ok=True)
        (at["cpu"] / "cpu.shares").write_text(str(max(2, spec.cpu_shares)))
        if spec.memory_max_bytes is not None:
            (at["memory"] / "memory.limit_in_bytes").write_text(str(spec.memory_max_bytes))
        if spec.swap_max_bytes is not None:  # after the memory's own limit, which it may never be below
            together = (spec.memory_max_bytes or 0) + spec.swap_max_bytes
            (at["memory"] / "memory.memsw.limit_in_bytes").write_text(str(together))
        if spec.swappiness is not None:
            (at["memory"] / "memory.swappiness").write_text(str(spec.swappiness))
        if spec.memory_reservation_bytes is not None:
            (at["memory"] / "memory.soft_limit_in_bytes").write_text(str(spec.memory_reservation_bytes))
        if "devices" in at:
            (at["devices"] / "devices.deny").write_text("a")
            for rule in devices:  # one write each: the kernel takes one rule at a time
                (at["devices"] / "devices.allow").write_text(rule)
        return self.entrances(spec.sandbox, spec.id)

    def entrances(self, sandbox: str, container: str) -> tuple[str, ...]:
        """The files through which a process puts itself into a container's cgroups (v1)."""
        if self.unified:
            return ()
        below = f"{self._path}/{sandbox}/{container}"
        return tuple(f"{root / below}/tasks" for root in self._roots if root.name in _ENTERED_V1)

    def refuse_impossible(self, spec: ContainerSpec) -> None:
        """What this host's controllers cannot limit must not look limited."""
        if spec.swappiness is not None and self.unified:
            reason = "swappiness is a setting of cgroup v1, and this host has v2"
            raise DriverError("CannotCreateContainerError", reason)
        if spec.swap_max_bytes is None:
            return
        if not spec.memory_max_bytes:
            raise DriverError("CannotCreateContainerError", "a limit of swap needs a limit of memory")
        if not self.unified and not (CGROUP_ROOT / "memory/memory.memsw.limit_in_bytes").exists():
            reason = "this host does not account for swap; start its kernel with swapaccount=1"
            raise DriverError("CannotCreateContainerError", reason)

    def directories(self, sandbox: str, container: str) -> tuple[str, ...]:
        """Those in which all processes of a container are listed."""
        root = CGROUP_ROOT if self.unified else CGROUP_ROOT / "pids"
        return (str(root / self._path / sandbox / container),)

    def out_of_memory_kills(self, sandbox: str, container: str) -> int:
        """How many of the container's processes the kernel has killed for want of memory."""
        if self.unified:
            file = CGROUP_ROOT / self._path / sandbox / container / "memory.events"
        else:
            file = CGROUP_ROOT / "memory" / self._path / sandbox / container / "memory.oom_control"
        try:
            lines = file.read_text().splitlines()
        except FileNotFoundError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def kill(self, *below: str) -> None:
        """Kill every process of the node (or of one sandbox or container in it) and wait until they are gone."""
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        while pids := self._pids("/".join((self._path, *below))):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in pids:
                if (process := processes.reference(pid)) is not None:
                    processes.wait_gone(process, max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                reason = f"processes {sorted(pids)} outlived SIGKILL by {_KILL_TIMEOUT_S:.0f} s"
                raise DriverError("CannotStopContainerError", reason)

    def kill_supervisors(self, container: str) -> None:
        """Kill what was started for a container that a crash left without a record of its processes."""
        for pid in self._pids(f"{self._path}/supervisors"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if container.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    if (process := processes.reference(pid)) is not None:
                        processes.wait_gone(process, _KILL_TIMEOUT_S)

    def _pids(self, path: str) -> set[int]:
        """Living processes below a path in any hierarchy; never our own, whose threads may be among them."""
        found: set[int] = set()
        for root in self._roots:
            for directory in _tree(f"{root}/{path}"):
                # What is suppressed: removed in this moment, or a threaded v2 cgroup.
                with contextlib.suppress(OSError), open(f"{directory}/cgroup.procs", "rb") as file:
                    found.update(map(int, file.read().split()))
        found -= {0, os.getpid()}
        return {pid for pid in found if processes.reference(pid) is not None}

    def remove(self, *below: str) -> None:
        """Remove the cgroup and all below it from every hierarchy."""
        path = "/".join((self._path, *below))
        for root in self._roots:
            _remove_tree(root / path)
        if not below:
            for root in self._roots:
                with contextlib.suppress(FileNotFoundError, OSError):  # another agent of the installation is in it
                    (root / path).parent.rmdir()


def _v1_roots() -> Iterable[Path]:
    """The mounted v1 hierarchies; `cpu` may be a link to `cpu,cpuacct`, which then counts once."""
    seen = set()
    for entry in sorted(CGROUP_ROOT.iterdir()) if CGROUP_ROOT.is_dir() else ():
        if (entry / "cgroup.procs").exists() and not (entry / "cgroup.controllers").exists():
            if entry.resolve() not in seen:
                yield entry
            seen.add(entry.resolve())


def _delegate(directory: Path) -> None:
    """Let the children of a v2 cgroup have controllers of their own; those the host lacks are left out."""
    here = set((directory / "cgroup.controllers").read_text().split())
    given = set((directory / "cgroup.subtree_control").read_text().split())
    for name in _V2_CONTROLLERS:
        if name in here - given:
            (directory / "cgroup.subtree_control").write_text(f"+{name}")


def _write_v2_limits(directory: Path, spec: SandboxSpec) -> None:
    # The kernel documentation's own conversion of shares (2 to 262,144) to weight (1 to 10,000).
    weight = 1 + (min(max(spec.cpu_shares, 2), 262_144) - 2) * 9_999 // 262_142
    (directory / "cpu.weight").write_text(str(weight))
    quota = "max" if spec.cpu_quota_us is None else str(spec.cpu_quota_us)
    (directory / "cpu.max").write_text(f"{quota} {CPU_PERIOD_US}")
    (directory / "memory.max").write_text("max" if spec.memory_max_bytes is None else str(spec.memory_max_bytes))
    (directory / "pids.max").write_text("max" if spec.pids_max is None else str(spec.pids_max))


def _tree(top: str) -> list[str]:
    """A cgroup and those below it, each before its own; none where it is not there.

    A directory's links tell whether there are any below: most have none, and some thirty files to list.
    """
    try:
        if os.stat(top).st_nlink == _LINKS_OF_A_LEAF:
            return [top]
    except FileNotFoundError:
        return []
    return [directory for directory, _, _ in os.walk(top)]


def _remove_tree(top: Path) -> None:
    """Remove a cgroup and those below it, looking anew each time: what was half-made may appear late."""
    deadline = time.monotonic() + _REMOVE_TIMEOUT_S
    while tree := _tree(str(top)):
        busy: OSError | None = None
        for directory in reversed(tree):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                busy = error
        if busy is not None:
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(0.002)
