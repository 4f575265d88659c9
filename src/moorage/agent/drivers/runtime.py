"""Starting a container: an OCI runtime under `conmon`, its supervisor.

conmon (one small C process per container) starts the runtime, holds the container's output and writes it to the log,
waits for the end and writes the exit file. It needs neither the agent nor the server, so both may come and go.

conmon tells its parent how creation went on a pipe: the container's pid, or the runtime's complaint.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from moorage.agent.drivers import processes, syscalls
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.spec import ContainerId, DriverError

RuntimeName = Literal["crun", "runc", "runsc"]

CREATE_TIMEOUT_S: Final = 60.0  # a host in deep trouble; a busy one takes well under a second
LOG_BYTES_MAX: Final = 64 << 20  # of one container on disk; conmon then starts the file anew (see logfile.py)
RUN_TIMEOUT_S: Final = 1.0  # from the word to run to the container's command: a thousand times what it takes
_FIFO: Final = "exec.fifo"  # by which crun and runc hold a created container back
_SYNC_PIPE_FD: Final = 3
_SEALED: Final = "_LIBCONTAINER_CLONED_BINARY"  # the variable by which crun knows its own copy
_PACKAGES: Final = {"crun": "crun", "runc": "runc", "runsc": "runsc"}
_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "crun": (),
    "runc": (),
    # Its own network stack on our link, with raw sockets for those that have the capability; runs on any machine.
    "runsc": ("--network=sandbox", "--net-raw", "--platform=ptrace"),
}
_NO_CGROUPS: Final = {"crun": "--cgroup-manager=disabled", "runsc": "--ignore-cgroups"}
# runsc takes a network namespace for the host's if it sees net.core.rmem_default in it. Since Linux 6.11 every one
# has that, and runsc would refuse to work: here it sees an empty directory. (A mount on `core` alone would hide only
# that of one namespace.)
_HIDE_NET: Final = "mount -t tmpfs none /proc/sys/net; "


class _Report(msgspec.Struct):
    """What conmon writes on the pipe: a pid, or a negative number and a message."""

    data: int | None = None
    pid: int | None = None
    message: str = ""


class _Listed(msgspec.Struct):
    """A container as `runsc list` tells it."""

    id: str
    status: str


class Supervision(msgspec.Struct, frozen=True, kw_only=True):
    """What a container's supervisor must do beyond writing down output and end."""

    stdin: bool = False  # hold the container's standard input open
    terminal: bool = False
    # cgroups in which processes may outlive the first: where they share a pid namespace, the kernel does not end them
    ended_with_it: tuple[str, ...] = ()


PLAIN: Final = Supervision()
# Looks again until nobody is left, for what was just being born; a bound, lest a fork bomb keeps the supervisor.
_END_OTHERS: Final = (
    "n=0; while [ $n -lt 100 ]; do p=$(cat {files} 2>/dev/null); "
    '[ -n "$p" ] || break; kill -9 $p 2>/dev/null; n=$((n+1)); done'
)


class Runtime:
    """One OCI runtime of this host, with its state directory."""

    def __init__(self, name: RuntimeName, stage: Path, exits: Path) -> None:
        self.name = name
        self._path = processes.find_tool(name, _PACKAGES[name])
        self._conmon = processes.find_tool("conmon", "conmon")
        self._sealed = stage / "bin" / name
        self._state = stage / "runtime" / name
        self._exits = exits
        self._flags = (f"--root={self._state}", *_FLAGS[name])

    def prepare(self) -> None:
        """Call inside a new launch namespace, once the stage stands.

        crun copies its own binary before it runs a container, so that no container can write to the host's. A
        read-only mount that nobody else sees protects it as well, and crun, told so, takes it for a copy.
        """
        self._state.mkdir()
        if self.name == "crun":
            self._sealed.touch()
            syscalls.mount(self._path, str(self._sealed), None, syscalls.MS_BIND)
            syscalls.mount(
                "none", str(self._sealed), None, syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
            )

    @property
    def takes_ready_cgroups(self) -> bool:
        """Whether `create` may be told to enter cgroups that are made already."""
        return self.name in _NO_CGROUPS

    def complaint(self) -> str:
        """Why no container can be started; empty where all is well."""
        missing = next((tool for tool in (self._path, self._conmon) if not os.access(tool, os.X_OK)), None)
        return f"{missing} is not there any more" if missing else ""

    def create(
        self,
        container: ContainerId,
        home: Path,
        log: Path,
        entrances: Sequence[str] = (),
        supervision: Supervision = PLAIN,
    ) -> tuple[ProcessRef, ProcessRef]:
        """Create the container whose bundle is `home`; returns its first process and its supervisor.

        `entrances`: the `tasks` files of cgroups that are made already; none: the runtime makes the bundle's.
        """
        sync_read, sync_write = os.pipe()
        error_read, error_write = os.pipe()
        try:
            pid = processes.spawn(
                self._conmon,
                [*self._conmon_arguments(container, home, log, entrances), *_more_arguments(supervision)],
                stderr=error_write,
                inherit=[(sync_write, _SYNC_PIPE_FD)],
                environment=processes.TOOL_ENVIRONMENT | {"_OCI_SYNCPIPE": str(_SYNC_PIPE_FD)},
            )
            os.close(sync_write)
            os.close(error_write)
            sync_write = error_write = -1
            os.waitpid(pid, 0)  # conmon leaves its starter at once and goes on in the background
            report = _read_report(sync_read)
            complaint = "" if report else os.read(error_read, 4096).decode(errors="replace")
        finally:
            for fd in (sync_read, sync_write, error_read, error_write):
                if fd >= 0:
                    os.close(fd)
        if report is None:
            raise DriverError("CannotCreateContainerError", f"conmon failed: {complaint.strip() or 'without a word'}")
        number = report.data if report.pid is None else report.pid
        process = processes.reference(number) if number and number > 0 else None
        supervisor = _read_reference(home / "conmon.pid")
        if number is None or number <= 0:
            raise _refusal(report.message)
        if process is None or supervisor is None:
            raise DriverError("CannotStartContainerError", "the container's first process vanished")
        return process, supervisor

    def _conmon_arguments(self, container: ContainerId, home: Path, log: Path, entrances: Sequence[str]) -> list[str]:
        runtime, flags = self._path, list(self._flags)
        if entrances:
            # A shell on the way moves itself, which a process can do without the machine-wide lock that moving
            # another one takes; then it becomes the runtime, and the container is born where it belongs.
            moves = "".join(f"echo 0 >{shlex.quote(file)}; " for file in entrances)
            runtime, *flags = self._through_shell(moves, _NO_CGROUPS[self.name])
        return [
            "--api-version=1",
            f"--cid={container}",
            f"--cuuid={container}",
            f"--name={container}",
            f"--bundle={home}",
            f"--runtime={runtime}",
            *(f"--runtime-arg={flag}" for flag in flags),
            f"--container-pidfile={home}/pid",
            f"--conmon-pidfile={home}/conmon.pid",
            f"--exit-dir={self._exits}",
            f"--persist-dir={home}",
            f"--socket-dir-path={home}",
            "--full-attach",
            f"--log-path=k8s-file:{log}",
            f"--log-size-max={LOG_BYTES_MAX}",
            "--no-sync-log",
            "--log-level=error",
        ]

    def _through_shell(self, first: str, *more_flags: str) -> list[str]:
        """The runtime as a shell's last act; arguments that follow are the runtime's."""
        if self.name == "crun":
            command = f"{_SEALED}=1 exec {shlex.join([str(self._sealed), *more_flags, *self._flags])}"
            return ["/bin/sh", "-ec", f'{first}{command} "$@"', "sh"]
        command = f"exec {shlex.join([self._path, *more_flags, *self._flags])}"
        unshare = processes.find_tool("unshare", "util-linux")
        return [unshare, "--mount", "/bin/sh", "-ec", f'{first}{_HIDE_NET}{command} "$@"', "sh"]

    def _run(self, *arguments: str) -> tuple[int, str]:
        if self.name == "runsc":
            path, *prefix = self._through_shell("")
            return processes.run_tool(path, [*prefix, *arguments])
        return processes.run_tool(self._path, [*self._flags, *arguments])

    def start(self, container: ContainerId) -> None:
        """Let a created container run."""
        fifo = self._state / container / _FIFO
        if self.name == "crun" and fifo.exists():
            # What `crun start` does, without the three milliseconds of starting crun for it. The name goes first:
            # where it still stands, the container has never run.
            fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            with open(fd, "wb", buffering=0) as file:
                fifo.unlink()
                file.write(b"\0")
            return
        code, said = self._run("start", container)
        if code != 0:
            raise _refusal(said)

    def waiting(self) -> frozenset[ContainerId]:
        """The containers that were created and never let run. Call while none is being started."""
        if self.name != "runsc":
            return frozenset(ContainerId(fifo.parent.name) for fifo in self._state.glob(f"*/{_FIFO}"))
        code, said = self._run("list", "--format=json")
        if code != 0:
            raise _refusal(said)
        known = msgspec.json.decode(said, type=list[_Listed] | None) or ()
        return frozenset(ContainerId(each.id) for each in known if each.status == "created")

    def is_lost(self, process: ProcessRef) -> bool:
        """Whether `start` was cut off between its two steps: the process waits, and nobody will let it run."""
        if self.name != "crun":
            return False
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while processes.is_unexecuted(process):  # what was let run becomes its command within microseconds
            if time.monotonic() > deadline:
                return True
            time.sleep(0.001)
        return False

    def exec_line(
        self, container: ContainerId, files: tuple[Path, Path], entrances: Sequence[str], more: Sequence[str] = ()
    ) -> list[str]:
        """The program and arguments that run one more process in a running container.

        `files`: what describes the process, and where its pid is to be written.
        """
        process, pid_file = files
        words = ["exec", *more, f"--process={process}", f"--pid-file={pid_file}", container]
        if entrances or self.name == "runsc":
            moves = "".join(f"echo 0 >{shlex.quote(file)}; " for file in entrances)
            return [*self._through_shell(moves, *([_NO_CGROUPS[self.name]] if entrances else [])), *words]
        return [self._path, *self._flags, *words]

    def kill_inside(self, container: ContainerId, pid: int) -> None:
        """Kill the process of this number inside the container and what it has started; for runsc, whose processes
        the host does not have."""
        table = [line.split() for line in self._run("ps", "--format=table", container)[1].splitlines()]
        children = [(int(row[2]), int(row[1])) for row in table if len(row) > 2 and row[1].isdecimal()]
        doomed = [pid]
        for parent in doomed:  # grows as it goes
            doomed += [child for of, child in children if of == parent]
        for number in doomed:
            self._run("kill", f"--pid={number}", container, "KILL")

    def forget(self, container: ContainerId) -> None:
        """Remove the runtime's own state of a container that is dead."""
        state = self._state / container
        if self.name == "crun":
            _remove_directory(state)
        elif self.name == "runsc" or state.exists():
            self._run("delete", "--force", container)


def _more_arguments(supervision: Supervision) -> list[str]:
    arguments = []
    if supervision.stdin:
        arguments.append("--stdin")
    if supervision.terminal:
        arguments.append("--terminal")
    if supervision.ended_with_it:
        files = " ".join(shlex.quote(f"{directory}/cgroup.procs") for directory in supervision.ended_with_it)
        arguments += ["--exit-command=/bin/sh", "--exit-command-arg=-c"]
        arguments.append(f"--exit-command-arg={_END_OTHERS.format(files=files)}")
    return arguments


def _read_report(fd: int) -> _Report | None:
    """One line of JSON, or None where conmon ended without one."""
    text = b""
    while not text.endswith(b"\n"):
        if not processes.wait_readable(fd, CREATE_TIMEOUT_S):
            raise DriverError(
                "CannotCreateContainerError", f"the runtime did not answer for {CREATE_TIMEOUT_S:.0f} s"
            )
        piece = os.read(fd, 65_536)
        if not piece:
            break
        text += piece
    try:
        return msgspec.json.decode(text, type=_Report)
    except msgspec.DecodeError:
        return None


def _read_reference(file: Path) -> ProcessRef | None:
    try:
        return processes.reference(int(file.read_text()))
    except (FileNotFoundError, ValueError):
        return None


_NO_COMMAND: Final = re.compile(
    r"executable file .*not found|no such file or directory|permission denied|exec format", re.I
)


def _refusal(message: str) -> DriverError:
    """The runtime's complaint under the name that ECS gives it."""
    lines = [line for line in message.strip().splitlines() if line.strip()]
    reason = (lines[-1] if lines else "the runtime failed without a word").strip()
    for prefix in ("[conmon:e]:", "crun:", "error:"):
        reason = reason.removeprefix(prefix).strip()
    kind = "CannotStartContainerError" if _NO_COMMAND.search(reason) else "CannotCreateContainerError"
    return DriverError(kind, reason)


def _remove_directory(path: Path) -> None:
    try:
        for entry in os.scandir(path):
            os.unlink(entry.path)
        path.rmdir()
    except FileNotFoundError:
        return
