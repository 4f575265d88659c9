"""What keeps the namespaces that the containers of a task share beside the network: process ids and System V IPC.

An IPC namespace lives by its pin. A pid namespace lives by its first process: `tini`, which reaps what the containers
leave behind, above a `sleep`. If they are killed, all the task's containers end with them.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from moorage.agent.drivers import processes, syscalls
from moorage.agent.drivers.cgroups import Cgroups
from moorage.agent.spec import DriverError

START_TIMEOUT_S: Final = 30.0  # a host in deep trouble; a busy one takes some milliseconds
INIT_TOOL: Final = ("tini-static", "tini")  # program and package
_MARK: Final = "moorage-pause="  # in the command lines, by which `end` finds them


def start(sandbox: str, user_namespace: str, cgroups: Cgroups) -> str:
    """Start the first process of a new pid namespace; returns the namespace's path, which holds until it is pinned.

    Call from a crew thread. `user_namespace` is the path of the namespace that owns it, or empty for the host's.
    """
    inside = ["nsenter", f"--user={user_namespace}", "--"] if user_namespace else []
    # Programs do it: a process with threads cannot enter a user namespace. The shell says that the namespace stands.
    # What is last on its command line is a name for `end`.
    arguments = [
        *inside,
        *("unshare", "--pid", "--fork", "--kill-child", "--"),
        *(processes.find_tool(*INIT_TOOL), "--", "/bin/sh", "-c", "echo .; exec sleep infinity", _MARK + sandbox),
    ]
    tool, *rest = arguments
    ready_read, ready_write = os.pipe()
    try:
        pid = processes.spawn(processes.find_tool(tool, "util-linux"), rest, stdout=ready_write)
        os.close(ready_write)
        ready_write = -1
        cgroups.adopt_supervisor(pid)
        if not (processes.wait_readable(ready_read, START_TIMEOUT_S) and os.read(ready_read, 1)):
            end(sandbox, cgroups)
            reason = "this host refuses a pid namespace (see user.max_pid_namespaces)"
            raise DriverError("ResourceInitializationError", reason)
    finally:
        os.close(ready_read)
        if ready_write >= 0:
            os.close(ready_write)
    return f"/proc/{pid}/ns/pid_for_children"


def end(sandbox: str, cgroups: Cgroups) -> None:
    """End them, however far they came; again is harmless."""
    cgroups.kill_supervisors(_MARK + sandbox)


@contextlib.contextmanager
def new_ipc_namespace() -> Iterator[str]:
    """The path of a new IPC namespace, to be pinned inside the block. Call from a crew thread."""
    host = os.open("/proc/thread-self/ns/ipc", os.O_RDONLY)
    try:
        syscalls.unshare(syscalls.CLONE_NEWIPC)
        yield f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/ipc"
    finally:
        syscalls.setns(host, syscalls.CLONE_NEWIPC)
        os.close(host)
