"""Processes of the host as the drivers see them: started by posix_spawn, named by pid and start time.

A pid alone may have been given to somebody else since it was written down; with the start time it cannot.
posix_spawn, because a fork would copy the page tables of the agent for each of the launch's small programs.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.agent.spec import DriverError

TOOL_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOL_ENVIRONMENT: Final = {"PATH": TOOL_PATH, "LC_ALL": "C"}

_FORKED_NO_EXEC: Final = 0x40  # PF_FORKNOEXEC in field 9 of /proc/<pid>/stat
_DEFAULT_SIGNALS: Final = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD)  # Python alters these
_OUTPUT_BYTES_MAX: Final = 64 * 1024  # of a tool's complaint; more would not be read by anyone


class ProcessRef(msgspec.Struct, frozen=True):
    """One process, never another that got its pid later."""

    pid: int
    started: int  # clock ticks after boot: field 22 of /proc/<pid>/stat


def find_tool(name: str, package: str) -> str:
    path = shutil.which(name, path=TOOL_PATH)
    if path is None:
        reason = f"{name} is not installed on this host; install the package {package!r}"
        raise DriverError("ResourceInitializationError", reason)
    return path


def reference(pid: int) -> ProcessRef | None:
    """The process that has this pid now; None for no process and for a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else ProcessRef(pid, int(fields[19]))


def is_alive(process: ProcessRef) -> bool:
    return reference(process.pid) == process


def is_unexecuted(process: ProcessRef) -> bool:
    """Whether the process lives and has not executed a program since it was forked."""
    try:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    alive = fields[0] not in (b"Z", b"X") and int(fields[19]) == process.started
    return alive and bool(int(fields[6]) & _FORKED_NO_EXEC)


def send_signal(process: ProcessRef, number: int) -> bool:
    """False where the process is gone already."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):  # the descriptor holds whoever has the pid; now it can be compared safely
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def wait_gone(process: ProcessRef, timeout_s: float) -> bool:
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(process):
            return True
        return wait_readable(fd, timeout_s)
    finally:
        os.close(fd)


def wait_readable(fd: int, timeout_s: float) -> bool:
    """poll, not select: an agent of thousands of containers has descriptors beyond 1,024."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def spawn(
    path: str,
    arguments: Sequence[str],
    *,
    stdin: int | str | None = None,
    stdout: int | str | None = None,
    stderr: int | str | None = None,
    inherit: Sequence[tuple[int, int]] = (),
    environment: dict[str, str] | None = None,
) -> int:
    """Start a program in a session of its own, inside the calling thread's namespaces and cgroups.

    A stream that is None is /dev/null; one that is a path is opened by the child, so that a terminal becomes its
    controlling one. `inherit` gives further descriptors as (ours, the child's) pairs.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
    for number, fd in enumerate((stdin, stdout, stderr)):
        if fd is None or isinstance(fd, str):
            actions.append((os.POSIX_SPAWN_OPEN, number, fd or "/dev/null", os.O_RDWR, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, fd, number))
    actions.extend((os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in inherit)
    return os.posix_spawn(
        path,
        [path, *arguments],
        TOOL_ENVIRONMENT if environment is None else environment,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=_DEFAULT_SIGNALS,
    )


def run_tool(path: str, arguments: Sequence[str], text: bytes = b"") -> tuple[int, str]:
    """Run a short program to its end: its exit code and what it said on both streams.

    `text` must fit into a pipe (64 KiB): it is written before the program is started.
    """
    read_end, write_end = os.pipe()
    text_read, text_write = os.pipe()
    try:
        os.write(text_write, text)
        os.close(text_write)
        text_write = -1
        pid = spawn(path, arguments, stdin=text_read, stdout=write_end, stderr=write_end)
        os.close(write_end)
        write_end = -1
        said = bytearray()
        while piece := os.read(read_end, _OUTPUT_BYTES_MAX):
            said += piece[: _OUTPUT_BYTES_MAX - len(said)]
    finally:
        for fd in (read_end, write_end, text_read, text_write):
            if fd >= 0:
                os.close(fd)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace").strip()
