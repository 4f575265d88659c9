"""The threads and the two mount namespaces in which a node works, and the pins that keep sandboxes' namespaces.

The **launch** namespace is where the agent's crew of threads works: a copy of the host's mounts, without the v2
cgroup tree of a hybrid host, with the stage (a tmpfs of its own) for bundles and root filesystems. A root filesystem
is mounted there just long enough for a runtime to take its own copy.

The **keep** namespace holds the pins: bind mounts of network (and user) namespaces of sandboxes. It is apart from the
launch namespace because every container start copies the mount table it starts from: a thousand pins there would cost
ten milliseconds per start.

A tiny holder process keeps each of them while no agent runs, so that the next agent enters the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec

from moorage.agent.drivers import processes, syscalls
from moorage.agent.drivers.cgroups import CGROUP_ROOT, Cgroups
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.spec import DriverError

P = ParamSpec("P")
T = TypeVar("T")

CREW_THREADS: Final = 16  # launches in flight; a launch waits mostly for the kernel and for small programs
ID_RANGE: Final = 65_536  # ids of a user namespace: what images take for granted


class Crew:
    """Threads that live in the launch namespace and in the supervisors' cgroup, so that what they start does too."""

    def __init__(self, note: Path, cgroups: Cgroups, prepare: Callable[[], None]) -> None:
        self._cgroups = cgroups
        self._prepare = prepare
        self._host_network = os.open("/proc/self/ns/net", os.O_RDONLY)
        with contextlib.ExitStack() as undo, ThreadPoolExecutor(1, thread_name_prefix="launch") as first:
            undo.callback(os.close, self._host_network)
            holder = first.submit(enter_held, note, cgroups, self._furnish).result()
            undo.pop_all()
        self._mounts = os.open(f"/proc/{holder.pid}/ns/mnt", os.O_RDONLY)
        self._pool = ThreadPoolExecutor(CREW_THREADS, thread_name_prefix="launch", initializer=self._enter)

    def _furnish(self) -> None:
        if not self._cgroups.unified:  # crun and runc refuse to work beside the v2 tree of a hybrid host
            for entry in CGROUP_ROOT.iterdir():
                if (entry / "cgroup.controllers").exists():
                    syscalls.umount(str(entry))
        self._prepare()

    def _enter(self) -> None:
        _enter_mounts(self._mounts)
        self._cgroups.enter_supervisors()

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work on a thread of the crew; blocks the caller."""
        return self._pool.submit(work, *args, **kwargs).result()

    def in_network(self, namespace: int | None, work: Callable[[], T]) -> T:
        """Call from a crew thread: do the work inside a network namespace, a new one for None."""
        if namespace is None:
            syscalls.unshare(syscalls.CLONE_NEWNET)
        else:
            syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        try:
            return work()
        finally:
            syscalls.setns(self._host_network, syscalls.CLONE_NEWNET)

    def close(self) -> None:
        self._pool.shutdown()
        os.close(self._mounts)
        os.close(self._host_network)


class Keep:
    """The pins. All mounting happens on one thread, which lives in the keep namespace."""

    def __init__(self, directory: Path, note: Path, cgroups: Cgroups) -> None:
        self._pins = directory / "pins"
        self._pins.mkdir(exist_ok=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keep")
        try:
            self._holder = self._thread.submit(enter_held, note, cgroups, lambda: None).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def path(self, sandbox: str, kind: str) -> str:
        """Where any process of the host finds a pinned namespace."""
        return f"/proc/{self._holder.pid}/root{self._pins}/{sandbox}.{kind}"

    def complaint(self) -> str:
        """Why no namespace can be kept; empty where all is well."""
        return (
            "" if processes.is_alive(self._holder) else "the process that holds the pins is gone; restart the agent"
        )

    def pin(self, sandbox: str, kind: str, namespace: str) -> None:
        self._thread.submit(self._pin, f"{self._pins}/{sandbox}.{kind}", namespace).result()

    @staticmethod
    def _pin(target: str, namespace: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
        with contextlib.suppress(OSError):  # not mounted is the ordinary case; a half-made sandbox's pin goes
            syscalls.umount(target)
        syscalls.mount(namespace, target, None, syscalls.MS_BIND)

    def is_pinned(self, sandbox: str, kind: str) -> bool:
        # A namespace's file lives on nsfs, so on another device than the directory the pin is made in.
        try:
            return os.stat(self.path(sandbox, kind)).st_dev != os.stat(self._pins).st_dev
        except FileNotFoundError:
            return False

    def unpin(self, sandbox: str) -> None:
        self._thread.submit(self._unpin, sandbox).result()

    def _unpin(self, sandbox: str) -> None:
        for kind in ("net", "user", "pid", "ipc"):
            target = f"{self._pins}/{sandbox}.{kind}"
            with contextlib.suppress(OSError):  # nothing mounted there: never made, or a new keep namespace
                syscalls.umount(target)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)

    def close(self) -> None:
        """Let go of the keep namespace; the holder holds on."""
        self._thread.shutdown()


def enter_held(note: Path, cgroups: Cgroups, furnish: Callable[[], None]) -> ProcessRef:
    """Take the calling thread into the mount namespace whose holder the note names; make both where there is none."""
    cgroups.enter_supervisors()
    holder = _noted(note)
    if holder is not None and processes.is_alive(holder):
        fd = os.open(f"/proc/{holder.pid}/ns/mnt", os.O_RDONLY)
        try:
            _enter_mounts(fd)
        finally:
            os.close(fd)
        return holder
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Slave: what the host mounts later is seen here, what is mounted here is never seen there.
    syscalls.mount("none", "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    furnish()
    pid = processes.spawn(processes.find_tool("sleep", "coreutils"), ["infinity"])
    cgroups.adopt_supervisor(pid)
    made = processes.reference(pid)
    if made is None:
        raise DriverError("ResourceInitializationError", "the holder of the node's mount namespace did not stay")
    # A crash before this write leaves a holder of nothing; `sweep` finds it by its cgroup.
    write_file(note, msgspec.json.encode(made))
    return made


def _enter_mounts(namespace: int) -> None:
    syscalls.unshare(syscalls.CLONE_FS)  # the kernel lets only an owner of its own root change mount namespaces
    syscalls.setns(namespace, syscalls.CLONE_NEWNS)


def _noted(note: Path) -> ProcessRef | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=ProcessRef)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def end_holder(note: Path) -> None:
    holder = _noted(note)
    if holder is not None:
        processes.send_signal(holder, signal.SIGKILL)
        processes.wait_gone(holder, 5.0)
        with contextlib.suppress(ChildProcessError):  # ours only if this very process started it
            os.waitpid(holder.pid, os.WNOHANG)
    note.unlink(missing_ok=True)


def make_user_namespace(first_id: int, use: Callable[[str, str], T]) -> T:
    """Make a user namespace with a network namespace of its own and give their paths to `use`, which must pin them.

    `unshare` and `cat` do it: a process with threads cannot make a user namespace in itself. `cat` answers on its
    pipe once it stands inside, and ends by itself should the agent be killed.
    """
    to_child, from_child = os.pipe(), os.pipe()
    try:
        arguments = ["--user", "--net", "--", processes.find_tool("cat", "coreutils")]
        tool = processes.find_tool("unshare", "util-linux")
        pid = processes.spawn(tool, arguments, stdin=to_child[0], stdout=from_child[1])
        os.close(from_child[1])
        try:
            os.write(to_child[1], b".")
            if os.read(from_child[0], 1) != b".":
                reason = "this host refuses user namespaces (see user.max_user_namespaces)"
                raise DriverError("ResourceInitializationError", reason)
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{pid}/{name}").write_text(f"0 {first_id} {ID_RANGE}\n")
            return use(f"/proc/{pid}/ns/user", f"/proc/{pid}/ns/net")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    finally:
        for fd in (*to_child, from_child[0]):
            os.close(fd)


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a whole file or nothing. No fsync: what it describes does not survive a power cut either."""
    scratch = path.with_name(f"{path.name}.new")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(fd, "wb") as file:
        file.write(data)
    scratch.rename(path)
