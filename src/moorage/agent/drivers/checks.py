"""Health checks: a program run inside a running container, with the rights that the container's own process has.

The runtime starts it (`exec`), inside the container's cgroup and namespaces, under its user, capabilities and seccomp
filter. A crew thread only spawns it; whoever asked waits outside the crew, so that programs that hang keep no launch
waiting.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.drivers import processes
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.drivers.records import ContainerRecord
from moorage.agent.spec import CheckResult, DriverError

OUTPUT_BYTES_MAX: Final = 4096  # as much as Docker keeps; the control plane is told less
# What the runtime gets to see that the program it started is dead; after that it is killed itself.
RUNTIME_TIMEOUT_S: Final = 5.0
_PROCESS: Final = "check.json"
_PID: Final = "check.pid"


class _Bundled(msgspec.Struct):
    process: dict[str, msgspec.Raw]


class _Started(msgspec.Struct):
    pid: int  # of the runtime
    output: int  # a descriptor to read from


def run(parts: Parts, record: ContainerRecord, command: Sequence[str], timeout_s: float) -> CheckResult:
    """Run the program to its end, or to the end of its time. Call from any thread but the crew's."""
    started = parts.crew.run(_begin, parts, record, command)
    try:
        said, ended = _listen(started, timeout_s)
        if not ended:
            parts.crew.run(_end, _staged(parts, record) / _PID)
            if not _wait_exit(started.pid, RUNTIME_TIMEOUT_S):
                os.kill(started.pid, signal.SIGKILL)
    finally:
        os.close(started.output)
        status = os.waitpid(started.pid, 0)[1]
    if not ended:
        return CheckResult(exit_code=None, output=f"Health check exceeded timeout ({timeout_s:g}s)")
    code = os.waitstatus_to_exitcode(status)
    return CheckResult(exit_code=code if code >= 0 else None, output=said.decode(errors="replace"))


def _staged(parts: Parts, record: ContainerRecord) -> Path:
    return parts.stage / "bundles" / record.id


def _begin(parts: Parts, record: ContainerRecord, command: Sequence[str]) -> _Started:
    """On a crew thread, which sees the stage and lives where containers' supervisors live."""
    staged = _staged(parts, record)
    try:
        bundled = msgspec.json.decode((staged / "config.json").read_bytes(), type=_Bundled)
    except FileNotFoundError:
        raise DriverError("CannotStartContainerError", "the container does not run") from None
    process = {name: value for name, value in bundled.process.items() if name not in ("terminal", "consoleSize")}
    process["args"] = msgspec.Raw(msgspec.json.encode(tuple(command)))
    (staged / _PROCESS).write_bytes(msgspec.json.encode(process))
    (staged / _PID).unlink(missing_ok=True)
    runtime = parts.runtimes[record.isolation]
    entrances = parts.cgroups.entrances(record.sandbox, record.id) if runtime.takes_ready_cgroups else ()
    path, *words = runtime.exec_line(record.id, staged / _PROCESS, staged / _PID, entrances)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        pid = processes.spawn(path, words, stdout=write_end, stderr=write_end)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return _Started(pid, read_end)


def _listen(started: _Started, timeout_s: float) -> tuple[bytes, bool]:
    """What was said until the end, and whether it came in time.

    The end is that of the process, not of its output: what it leaves in the background may hold the pipe for ever.
    """
    deadline = time.monotonic() + timeout_s
    said = bytearray()
    process = os.pidfd_open(started.pid)
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.register(started.output, select.POLLIN)
        while (left_s := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(left_s * 1000)}
            if started.output in ready and not _take(started.output, said):
                poll.unregister(started.output)
            if process in ready:
                _take(started.output, said)
                return bytes(said), True
        return bytes(said), False
    finally:
        os.close(process)


def _take(output: int, said: bytearray) -> bool:
    """Read what is there, keep the beginning; False at the end."""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(output, 65_536):
            said += piece[: OUTPUT_BYTES_MAX - len(said)]
        return False
    return True


def _wait_exit(pid: int, timeout_s: float) -> bool:
    process = os.pidfd_open(pid)
    try:
        return processes.wait_readable(process, timeout_s)
    finally:
        os.close(process)


def _end(pid_file: Path) -> None:
    """Kill the program and what it has started; the runtime, which waits for it, then ends by itself."""
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
