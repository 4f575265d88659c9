"""What a node writes down of its sandboxes and containers, so that the next agent finds them.

A record is written before the first thing it names is made, and removed after the last is gone: what a crash leaves
half-made is always found by its record. That something is wholly made is a second file: a name that is new costs the
disk nothing, while a file that is replaced is flushed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from moorage.agent.drivers.namespaces import write_file
from moorage.agent.drivers.network import Attachment
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.spec import (
    ContainerId,
    IpcMode,
    Isolation,
    Mount,
    NetworkMode,
    PidMode,
    PortBinding,
    Sandbox,
    SandboxId,
    Volume,
)

Namespace = Literal["user", "net", "pid", "ipc"]

_Record = TypeVar("_Record", "SandboxRecord", "ContainerRecord", "Launched")


_RECORD: Final = "record.json"
_COMPLETE: Final = "complete"
_LAUNCHED: Final = "launched.json"
# FS_IOC_GETFLAGS and FS_IOC_SETFLAGS; their numbers are made with a long, what they pass is an int.
_GET_FLAGS: Final = 0x80086601
_SET_FLAGS: Final = 0x40086602
_TOP_OF_HIERARCHY: Final = 0x00020000  # FS_TOPDIR_FL


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: SandboxId
    network_mode: NetworkMode
    isolation: Isolation
    attachment: Attachment | None = None
    ports: tuple[PortBinding, ...] = ()
    hostname: str = ""
    first_id: int = 0  # of the user namespace's range on the host; 0: no user namespace
    pid_mode: PidMode = "own"
    ipc_mode: IpcMode = "own"
    volumes: tuple[Volume, ...] = ()
    storage_max_bytes: int | None = None

    @property
    def pinned(self) -> tuple[Namespace, ...]:
        """The namespaces that are the sandbox's own."""
        found: list[Namespace] = []
        if self.first_id:
            found.append("user")
        if self.network_mode != "host":
            found.append("net")
        if self.pid_mode == "task" and self.isolation != "runsc":  # whose sandboxes hold one container
            found.append("pid")
        if self.ipc_mode == "task":
            found.append("ipc")
        return tuple(found)

    def sandbox(self) -> Sandbox:
        return Sandbox(
            id=self.id,
            ports=self.ports,
            address="" if self.attachment is None else self.attachment.address,
        )


class Borrowable(msgspec.Struct, frozen=True, kw_only=True):
    """A volume of a container as others may have it from there."""

    mount: Mount
    owned_by_ids: bool = False  # see `volumes.Source`


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: ContainerId
    sandbox: SandboxId
    isolation: Isolation
    stop_signal: int
    volumes: tuple[Borrowable, ...] = ()


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """Written when nothing is left to do but to let the container run; before that it is half-made."""

    process: ProcessRef
    supervisor: ProcessRef


class Records:
    """The directories `sandboxes/<id>` and `containers/<id>`, each with a `record.json`."""

    def __init__(self, directory: Path) -> None:
        self._sandboxes = directory / "sandboxes"
        self._containers = directory / "containers"
        self._sandboxes.mkdir(exist_ok=True)
        self._containers.mkdir(exist_ok=True)
        for parent in (self._sandboxes, self._containers):
            _spread(parent)

    @property
    def sandboxes_directory(self) -> Path:
        return self._sandboxes

    def sandbox_directory(self, sandbox: SandboxId) -> Path:
        return self._sandboxes / sandbox

    def container_directory(self, container: ContainerId) -> Path:
        return self._containers / container

    def put_sandbox(self, record: SandboxRecord) -> None:
        _put(self._sandboxes / record.id / _RECORD, record)

    def complete_sandbox(self, sandbox: SandboxId) -> None:
        home = self._sandboxes / sandbox
        os.link(home / _RECORD, home / _COMPLETE)  # a second name is cheaper than a second file

    def undo_sandbox(self, sandbox: SandboxId) -> None:
        """A part of it was lost: it counts as half-made."""
        (self._sandboxes / sandbox / _COMPLETE).unlink(missing_ok=True)

    def is_complete(self, sandbox: SandboxId) -> bool:
        return (self._sandboxes / sandbox / _COMPLETE).exists()

    def put_container(self, record: ContainerRecord) -> None:
        _put(self._containers / record.id / _RECORD, record)

    def put_launched(self, container: ContainerId, launched: Launched) -> None:
        _put(self._containers / container / _LAUNCHED, launched)

    def undo_launched(self, container: ContainerId) -> None:
        """It is to be launched once more: until then it counts as half-made."""
        (self._containers / container / _LAUNCHED).unlink(missing_ok=True)

    def sandbox(self, sandbox: SandboxId) -> SandboxRecord | None:
        return _get(self._sandboxes / sandbox / _RECORD, SandboxRecord)

    def container(self, container: ContainerId) -> ContainerRecord | None:
        return _get(self._containers / container / _RECORD, ContainerRecord)

    def launched(self, container: ContainerId) -> Launched | None:
        return _get(self._containers / container / _LAUNCHED, Launched)

    def sandboxes(self) -> Iterator[SandboxRecord]:
        for directory in sorted(self._sandboxes.iterdir()):
            if record := _get(directory / _RECORD, SandboxRecord):
                yield record

    def containers(self) -> Iterator[ContainerRecord]:
        for directory in sorted(self._containers.iterdir()):
            if record := _get(directory / _RECORD, ContainerRecord):
                yield record

    def containers_of(self, sandbox: SandboxId) -> list[ContainerId]:
        """By their names alone: of a thousand records none is read."""
        prefix = f"{sandbox}-"
        return [ContainerId(name) for name in sorted(os.listdir(self._containers)) if name.startswith(prefix)]

    def drop_unwritten(self) -> None:
        """Remove directories of which a crash left no record: nothing else of theirs was made yet."""
        for parent in (self._sandboxes, self._containers):
            for directory in parent.iterdir():
                if not (directory / _RECORD).exists():
                    shutil.rmtree(directory)


def _spread(directory: Path) -> None:
    """Have the filesystem put each new directory below into another part of the disk (`chattr +T`).

    Otherwise all inodes come from one block group, whose free ones ext4 looks for from its beginning and, without a
    journal, past each that was freed within minutes: after a few hundred containers, half the work of a launch.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(fd, _GET_FLAGS, bytes(4)))
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("i", flags | _TOP_OF_HIERARCHY))
    except OSError:
        return  # a filesystem that does not know it has its own ways
    finally:
        os.close(fd)


def _put(file: Path, record: SandboxRecord | ContainerRecord | Launched) -> None:
    file.parent.mkdir(exist_ok=True, mode=0o711)
    write_file(file, msgspec.json.encode(record))


def _get(file: Path, kind: type[_Record]) -> _Record | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
