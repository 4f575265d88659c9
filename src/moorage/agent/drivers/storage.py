"""Where a sandbox's containers write: the sandbox's directory, or a file system of its own where it has a limit.

The limit is the size of an ext4 file system in a sparse file, mounted on the stage through a loop device. Making and
mounting one takes some twenty milliseconds and five megabytes, whatever its size. The kernel takes the loop device
away with the last mount, so that a crash leaves no more than the file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from pathlib import Path
from typing import Final

from moorage.agent.drivers import processes, syscalls
from moorage.agent.drivers.records import Records, SandboxRecord
from moorage.agent.spec import ContainerId, DriverError, SandboxId

_KIND: Final = "ResourceInitializationError"
_FILE: Final = "storage.img"
_GIB: Final = 1 << 30
# No journal: nobody reads the data after a power cut. Tables are written when they are needed, and nothing is kept
# back for root, which a task's root is not.
_MAKE: Final = ("-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-m", "0")


class Storage:
    """The storage of a node's sandboxes; methods must run on a crew thread."""

    def __init__(self, records: Records, stage: Path) -> None:
        self._records = records
        self._stage = stage / "volumes"
        self._lock = threading.Lock()

    def directory(self, sandbox: SandboxRecord) -> Path:
        """Where everything lies that counts against the sandbox's limit; it is there when this returns."""
        home = self._records.sandbox_directory(sandbox.id)
        if sandbox.storage_max_bytes is None:
            return home
        place = self._stage / f"{sandbox.id}-storage"
        with self._lock:
            if not os.path.ismount(place):
                self._mount(home / _FILE, sandbox.storage_max_bytes, place)
        return place

    def of_container(self, sandbox: SandboxRecord, container: ContainerId) -> Path:
        """Where the changes to a container's root filesystem lie."""
        if sandbox.storage_max_bytes is None:
            return self._records.container_directory(container)
        directory = self.directory(sandbox) / "containers" / container
        directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        return directory

    def forget_container(self, sandbox: SandboxId, container: ContainerId) -> None:
        """Remove what a container has written, where that is not in its own directory."""
        shutil.rmtree(self._stage / f"{sandbox}-storage" / "containers" / container, ignore_errors=True)

    def _mount(self, file: Path, size_bytes: int, place: Path) -> None:
        if not file.exists():
            self._make(file, size_bytes)
        place.mkdir(parents=True, exist_ok=True, mode=0o711)
        mount = processes.find_tool("mount", "mount")
        _run(mount, ["-t", "ext4", "-o", "loop,noatime", "--", str(file), str(place)], "mounting the task's storage")
        place.chmod(0o711)

    def _make(self, file: Path, size_bytes: int) -> None:
        self._refuse_overfull(size_bytes)
        fresh = file.with_suffix(".new")
        with open(fresh, "wb") as made:
            made.truncate(size_bytes)
        make = processes.find_tool("mkfs.ext4", "e2fsprogs")
        _run(make, [*_MAKE, str(fresh)], "making the task's storage")
        fresh.rename(file)

    def _refuse_overfull(self, size_bytes: int) -> None:
        """What was promised to other sandboxes and not used yet is not free."""
        disk = os.statvfs(self._records.sandboxes_directory)
        free = disk.f_bavail * disk.f_frsize
        for file in self._records.sandboxes_directory.glob(f"*/{_FILE}"):
            with contextlib.suppress(FileNotFoundError):
                facts = file.stat()
                free -= facts.st_size - facts.st_blocks * 512
        if size_bytes > free:
            reason = (
                f"the task asks for {size_bytes / _GIB:.0f} GiB of ephemeral storage, and the node's disk has "
                f"{max(free, 0) / _GIB:.1f} GiB that are neither used nor promised"
            )
            raise DriverError(_KIND, reason)

    def release(self, sandbox: SandboxRecord) -> None:
        """Let go of it once its containers are gone; the file goes with the sandbox's directory."""
        if sandbox.storage_max_bytes is not None:
            unmount(self._stage / f"{sandbox.id}-storage")


def can_limit_storage() -> bool:
    """Whether this host can make file systems and loop devices."""
    return shutil.which("mkfs.ext4", path=processes.TOOL_PATH) is not None and Path("/dev/loop-control").exists()


def unmount(place: Path) -> None:
    """Unmount and remove a directory of the stage; again is harmless."""
    if os.path.ismount(place):
        syscalls.umount(str(place))
    with contextlib.suppress(FileNotFoundError):
        place.rmdir()


def _run(tool: str, words: list[str], what: str) -> None:
    code, said = processes.run_tool(tool, words)
    if code != 0:
        raise DriverError(_KIND, f"{what}: {said}")
