"""Terminals: a program run inside a running container on a pty, for whoever executes a command there.

crun makes the pty in the container and hands its master over a socket, so a change of size reaches the program
without anybody between. runc does that only for programs that it leaves, and then nobody would learn their exit code;
so it gets a raw pty of the host's as its own terminal, and passes on what goes through. runsc gives its program the
terminal that it has itself.

Whatever dies, the program loses its terminal and gets SIGHUP. One that ignores it is killed by the next agent.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.drivers import execs, processes
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import ContainerRecord
from moorage.agent.spec import DriverError

# The runtime's time to make the pty: some milliseconds, on a host in deep trouble longer.
CONSOLE_TIMEOUT_S: Final = 30.0
# What it gets to see that its program is dead; after that it is killed itself.
RUNTIME_TIMEOUT_S: Final = 5.0
COMPLAINT_BYTES_MAX: Final = 4096
_PREFIX: Final = "terminal-"
_TERM: Final = "TERM=xterm"  # what Docker says of a terminal; a container's own word counts more
_SUFFIXES: Final = (".process", ".pid", ".console", ".inside")


@dataclass(frozen=True, slots=True)
class _Spawned:
    """What a crew thread has begun. `master` or `listener`: which of them depends on the runtime."""

    files: Path  # the beginning of their names
    pid: int
    complaint: int | None
    master: int | None = None
    listener: socket.socket | None = None


class Terminal:
    """A program on a pty. `fd` is the pty's master, which does not block; `ended` is readable when it has ended."""

    def __init__(self, parts: Parts, record: ContainerRecord, spawned: _Spawned, master: int, ended: int) -> None:
        self.fd = master
        self.ended = ended
        self._parts = parts
        self._record = record
        self._spawned = spawned
        os.set_blocking(master, False)

    def resize(self, cols: int, rows: int) -> None:
        _set_size(self.fd, cols, rows)

    def finish(self) -> tuple[int | None, str]:
        """The exit code and the runtime's complaint; a program that still runs is killed and has no code. Blocks for
        a moment; call once, then the descriptors are closed."""
        os.close(self.fd)
        return _finish(self._parts, self._record, self._spawned, self.ended)


def run(parts: Parts, record: ContainerRecord, command: Sequence[str], cols: int, rows: int) -> Terminal:
    """Start the program. Call from any thread but the crew's."""
    spawned = parts.crew.run(_spawn, parts, record, command, (cols, rows))
    ended = os.pidfd_open(spawned.pid)
    try:
        master = spawned.master
        if spawned.listener is not None:
            with spawned.listener as listener:
                master = _receive(listener, ended)
        if master is None:
            raise DriverError("CannotStartContainerError", "the runtime made no terminal")
        _set_size(master, cols, rows)
    except BaseException as error:
        _, said = _finish(parts, record, spawned, ended)
        if isinstance(error, DriverError) and said:
            raise DriverError("CannotStartContainerError", said) from error
        raise
    return Terminal(parts, record, spawned, master, ended)


def end_left(parts: Parts, record: ContainerRecord) -> None:
    """On a crew thread: end what an agent that was killed had running on its terminals."""
    for process in sorted(execs.staged(parts, record).glob(f"{_PREFIX}*.process")):
        _kill(parts, record, process.with_suffix(""))
        _remove(process.with_suffix(""))


def _spawn(parts: Parts, record: ContainerRecord, command: Sequence[str], size: tuple[int, int]) -> _Spawned:
    process = execs.process_of(parts, record)
    environment = msgspec.json.decode(process.get("env", b"[]"), type=list[str])
    if not any(one.startswith("TERM=") for one in environment):
        environment.append(_TERM)
    process |= {
        "args": execs.raw(tuple(command)),
        "env": execs.raw(environment),
        "terminal": execs.raw(True),
        "consoleSize": execs.raw({"width": size[0], "height": size[1]}),
    }
    files = execs.staged(parts, record) / f"{_PREFIX}{os.urandom(8).hex()}"
    try:
        files.with_suffix(".process").write_bytes(msgspec.json.encode(process))
        name = parts.runtimes[record.isolation].name
        if name == "crun":
            return _on_its_own(parts, record, files)
        return _on_ours(parts, record, files, size, relays=name == "runc")
    except BaseException:
        _remove(files)
        raise


def _remove(files: Path) -> None:
    for suffix in _SUFFIXES:
        files.with_suffix(suffix).unlink(missing_ok=True)


def _on_its_own(parts: Parts, record: ContainerRecord, files: Path) -> _Spawned:
    """The runtime makes the pty and hands it over."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        directory = os.open(files.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            # An address has room for 108 bytes, a path may be longer.
            listener.bind(f"/proc/self/fd/{directory}/{files.name}.console")
        finally:
            os.close(directory)
        listener.listen(1)
        console = f"--console-socket={files.with_suffix('.console')}"
        path, *words = execs.line(parts, record, _told(files), [console])
        pid, complaint = _start(path, words, None)
    except BaseException:
        listener.close()
        raise
    return _Spawned(files, pid, complaint, listener=listener)


def _told(files: Path) -> tuple[Path, Path]:
    return files.with_suffix(".process"), files.with_suffix(".pid")


def _on_ours(parts: Parts, record: ContainerRecord, files: Path, size: tuple[int, int], *, relays: bool) -> _Spawned:
    """The runtime gets a pty of the host's: to relay what goes through, or to give it to its program."""
    more = [] if relays else [f"--internal-pid-file={files.with_suffix('.inside')}"]
    path, *words = execs.line(parts, record, _told(files), more)
    master, slave = os.openpty()
    try:
        _set_size(master, *size)
        if relays:
            tty.setraw(slave)  # the pty in the container is the one that edits lines
        pid, complaint = _start(path, words, os.ttyname(slave), complains=relays)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    return _Spawned(files, pid, complaint, master=master)


def _start(
    path: str, words: Sequence[str], terminal: str | None, *, complains: bool = True
) -> tuple[int, int | None]:
    """The runtime's pid, and a descriptor to read its complaint from."""
    if not complains:
        return processes.spawn(path, words, stdin=terminal, stdout=terminal, stderr=terminal), None
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        return processes.spawn(path, words, stdin=terminal, stdout=terminal, stderr=write_end), read_end
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)


def _receive(listener: socket.socket, ended: int) -> int | None:
    """The pty's master from the runtime; None where it ended without handing one over."""
    if not _ready(listener.fileno(), ended):
        return None
    connection, _ = listener.accept()
    with connection:
        if not _ready(connection.fileno(), ended):
            return None
        fds = array.array("i")
        _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize), socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: fds.itemsize])
    return fds[0] if fds else None


def _ready(fd: int, ended: int) -> bool:
    """Wait for the descriptor; False where the runtime ends first or takes too long."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(ended, select.POLLIN)
    return any(one == fd for one, _ in poll.poll(CONSOLE_TIMEOUT_S * 1000))


def _set_size(fd: int, cols: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _finish(parts: Parts, record: ContainerRecord, spawned: _Spawned, ended: int) -> tuple[int | None, str]:
    """Reap the runtime, ending its program first where it still runs; nothing is left of either."""
    ran_out = processes.wait_readable(ended, 0)
    try:
        if not ran_out:
            parts.crew.run(_kill, parts, record, spawned.files)
            if not processes.wait_readable(ended, RUNTIME_TIMEOUT_S):
                os.kill(spawned.pid, signal.SIGKILL)
    finally:
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(spawned.pid, 0)[1])
        said = _complaint(spawned.complaint)
        parts.crew.run(_remove, spawned.files)
    if not ran_out or code < 0:
        return None, said
    return code, said


def _complaint(fd: int | None) -> str:
    if fd is None:
        return ""
    said = b""
    with contextlib.suppress(BlockingIOError):
        said = os.read(fd, COMPLAINT_BYTES_MAX)
    os.close(fd)
    return said.decode(errors="replace").strip()


def _kill(parts: Parts, record: ContainerRecord, files: Path) -> None:
    inside = files.with_suffix(".inside")
    if inside.exists():
        with contextlib.suppress(ValueError):  # runsc has not got as far as to write it
            parts.runtimes[record.isolation].kill_inside(record.id, int(inside.read_text()))
    execs.end(files.with_suffix(".pid"))
