"""Health checks: a program run inside a running container, with the rights that the container's own process has.

A crew thread only spawns it; whoever asked waits outside the crew, so that programs that hang keep no launch
waiting.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.agent.drivers import execs, processes
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import ContainerRecord
from moorage.agent.spec import CheckResult

OUTPUT_BYTES_MAX: Final = 4096  # as much as Docker keeps; the control plane is told less
# What the runtime gets to see that the program it started is dead; after that it is killed itself.
RUNTIME_TIMEOUT_S: Final = 5.0
_PROCESS: Final = "check.json"
_PID: Final = "check.pid"


class _Started(msgspec.Struct):
    pid: int  # of the runtime
    output: int  # a descriptor to read from


def run(parts: Parts, record: ContainerRecord, command: Sequence[str], timeout_s: float) -> CheckResult:
    """Run the program to its end, or to the end of its time. Call from any thread but the crew's."""
    started = parts.crew.run(_begin, parts, record, command)
    try:
        said, ended = _listen(started, timeout_s)
        if not ended:
            parts.crew.run(execs.end, execs.staged(parts, record) / _PID)
            if not _wait_exit(started.pid, RUNTIME_TIMEOUT_S):
                os.kill(started.pid, signal.SIGKILL)
    finally:
        os.close(started.output)
        status = os.waitpid(started.pid, 0)[1]
    if not ended:
        return CheckResult(exit_code=None, output=f"Health check exceeded timeout ({timeout_s:g}s)")
    code = os.waitstatus_to_exitcode(status)
    return CheckResult(exit_code=code if code >= 0 else None, output=said.decode(errors="replace"))


def _begin(parts: Parts, record: ContainerRecord, command: Sequence[str]) -> _Started:
    """On a crew thread, which sees the stage and lives where containers' supervisors live."""
    staged = execs.staged(parts, record)
    process = execs.process_of(parts, record) | {"args": execs.raw(tuple(command))}
    (staged / _PROCESS).write_bytes(msgspec.json.encode(process))
    (staged / _PID).unlink(missing_ok=True)
    path, *words = execs.line(parts, record, (staged / _PROCESS, staged / _PID))
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
