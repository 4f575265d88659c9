"""One more process in a running container: how the runtime is told of it, and how it is ended.

The runtime starts it (`exec`), inside the container's cgroup and namespaces, under its user, capabilities and seccomp
filter. Health checks and terminals share this.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from moorage.agent.drivers import processes
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.drivers.records import ContainerRecord
from moorage.agent.spec import DriverError


class _Bundled(msgspec.Struct):
    process: dict[str, msgspec.Raw]


def staged(parts: Parts, record: ContainerRecord) -> Path:
    """The container's directory on the stage, which only the crew sees."""
    return parts.stage / "bundles" / record.id


def process_of(parts: Parts, record: ContainerRecord) -> dict[str, msgspec.Raw]:
    """The members of the container's own process, without its terminal."""
    try:
        bundled = msgspec.json.decode((staged(parts, record) / "config.json").read_bytes(), type=_Bundled)
    except FileNotFoundError:
        raise DriverError("CannotStartContainerError", "the container does not run") from None
    return {name: value for name, value in bundled.process.items() if name not in ("terminal", "consoleSize")}


def raw(value: bool | Sequence[str] | Mapping[str, int]) -> msgspec.Raw:
    """A member of a process."""
    return msgspec.Raw(msgspec.json.encode(value))


def line(parts: Parts, record: ContainerRecord, files: tuple[Path, Path], more: Sequence[str] = ()) -> list[str]:
    """The program and its arguments that run what the first of `files` describes, and write its pid to the second."""
    runtime = parts.runtimes[record.isolation]
    entrances = parts.cgroups.entrances(record.sandbox, record.id) if runtime.takes_ready_cgroups else ()
    return runtime.exec_line(record.id, files, entrances, more)


def end(pid_file: Path) -> None:
    """Kill the process and what it has started; the runtime, which waits for it, then ends by itself."""
    try:
        program = processes.reference(int(pid_file.read_text()))
    except (FileNotFoundError, ValueError):
        return  # it never began
    for process in [program, *_descendants(program)] if program else []:
        processes.send_signal(process, signal.SIGKILL)


def _descendants(process: ProcessRef) -> list[ProcessRef]:
    found: list[ProcessRef] = []
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return found
    for child in map(processes.reference, map(int, children)):
        if child is not None:
            found += [child, *_descendants(child)]
    return found
