"""What must survive the agent's own death: one small file for each task, and who the agent is registered as.

A file is written beside its name and renamed over it, so a reader sees the old or the new, never half. It is not
forced to the disk: an agent's death does not need that, and a host's death ends every container whatever the files
say (`boot` in the record tells).
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import msgspec

from moorage.agent.spec import SandboxId
from moorage.agent.task import TaskRecord

log = logging.getLogger(__name__)

_SUFFIX = ".json"
_DAMAGED = ".damaged"


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Who the control plane knows this agent as. Another cluster or region is another identity."""

    container_instance: str
    cluster: str
    region: str


class TaskRecords:
    """The directory of task records."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = str(directory)
        self._encode = msgspec.json.Encoder().encode

    def save(self, record: TaskRecord) -> None:
        """Replace the task's record. Raises OSError, and the old record stays."""
        _replace(f"{self._directory}/{record.plan.id}{_SUFFIX}", self._encode(record))

    def forget(self, task: SandboxId) -> None:
        """Remove the task's record."""
        Path(f"{self._directory}/{task}{_SUFFIX}").unlink(missing_ok=True)

    def load(self) -> tuple[list[TaskRecord], list[SandboxId]]:
        """All records, and the ids of those that cannot be read (a host that lost power); they are kept aside."""
        records, damaged = [], []
        for path in sorted(Path(self._directory).iterdir()):
            if path.suffix == _DAMAGED:
                damaged.append(SandboxId(path.stem))
            if path.suffix != _SUFFIX:
                continue
            try:
                records.append(msgspec.json.decode(path.read_bytes(), type=TaskRecord))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.error("the record of task %s is damaged: %s", path.stem, error)
                path.rename(path.with_suffix(_DAMAGED))
                damaged.append(SandboxId(path.stem))
        return records, damaged


def load_registration(file: Path) -> Registration | None:
    """The saved identity; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Registration)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("%s is damaged, registering anew: %s", file, error)
        return None


def save_registration(file: Path, registration: Registration) -> None:
    """Replace the saved identity."""
    _replace(str(file), msgspec.json.encode(registration))


def _replace(path: str, data: bytes) -> None:
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(fd)
    os.replace(fresh, path)
