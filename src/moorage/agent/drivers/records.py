"""What a node writes down of its sandboxes and containers, so that the next agent finds them.

A record is written before the first thing it names is made, and removed after the last is gone: what a crash leaves
half-made is always found by its record.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from moorage.agent.drivers.namespaces import write_file
from moorage.agent.drivers.network import Attachment
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.spec import ContainerId, Isolation, NetworkMode, PortBinding, Sandbox, SandboxId

_Record = TypeVar("_Record", "SandboxRecord", "ContainerRecord")


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: SandboxId
    network_mode: NetworkMode
    isolation: Isolation
    attachment: Attachment | None = None
    ports: tuple[PortBinding, ...] = ()
    hostname: str = ""
    first_id: int = 0  # of the user namespace's range on the host; 0: no user namespace
    complete: bool = False  # every part of it was made

    def sandbox(self) -> Sandbox:
        return Sandbox(
            id=self.id,
            ports=self.ports,
            address="" if self.attachment is None else self.attachment.address,
        )


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: ContainerId
    sandbox: SandboxId
    isolation: Isolation
    stop_signal: int
    process: ProcessRef | None = None  # set once it runs
    supervisor: ProcessRef | None = None


class Records:
    """The directories `sandboxes/<id>` and `containers/<id>`, each with a `record.json`."""

    def __init__(self, directory: Path) -> None:
        self._sandboxes = directory / "sandboxes"
        self._containers = directory / "containers"
        self._sandboxes.mkdir(exist_ok=True)
        self._containers.mkdir(exist_ok=True)

    def sandbox_directory(self, sandbox: SandboxId) -> Path:
        return self._sandboxes / sandbox

    def container_directory(self, container: ContainerId) -> Path:
        return self._containers / container

    def put_sandbox(self, record: SandboxRecord) -> None:
        _put(self._sandboxes / record.id, record)

    def put_container(self, record: ContainerRecord) -> None:
        _put(self._containers / record.id, record)

    def sandbox(self, sandbox: SandboxId) -> SandboxRecord | None:
        return _get(self._sandboxes / sandbox, SandboxRecord)

    def container(self, container: ContainerId) -> ContainerRecord | None:
        return _get(self._containers / container, ContainerRecord)

    def sandboxes(self) -> Iterator[SandboxRecord]:
        for directory in sorted(self._sandboxes.iterdir()):
            if record := _get(directory, SandboxRecord):
                yield record
            else:  # died between the directory and its record: nothing was made yet
                shutil.rmtree(directory, ignore_errors=True)

    def containers(self) -> Iterator[ContainerRecord]:
        for directory in sorted(self._containers.iterdir()):
            if record := _get(directory, ContainerRecord):
                yield record
            else:
                shutil.rmtree(directory, ignore_errors=True)


def _put(directory: Path, record: SandboxRecord | ContainerRecord) -> None:
    directory.mkdir(exist_ok=True, mode=0o711)
    write_file(directory / "record.json", msgspec.json.encode(record))


def _get(directory: Path, kind: type[_Record]) -> _Record | None:
    try:
        return msgspec.json.decode((directory / "record.json").read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
