"""Containers that see each other's processes and memory, or the host's."""

from __future__ import annotations

import os

import pytest

from moorage.agent.spec import DriverError, Isolation

from .host import Host, wait_for

BOTH = pytest.mark.parametrize("isolation", ["namespaces", "userns"])


@BOTH
def test_containers_of_a_task_see_each_others_processes(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation, pid_mode="task")
    host.start(number, "exec sleep 4321", 0)
    seen = host.output(host.start(number, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; readlink /proc/self/ns/pid", 1))
    assert "sleep 4321" in seen
    assert os.readlink("/proc/self/ns/pid") not in seen


def test_containers_do_not_see_each_others_processes_unasked(host: Host, number: int) -> None:
    host.sandbox(number)
    host.start(number, "exec sleep 4321", 0)
    assert "4321" not in host.output(host.start(number, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", 1))


def test_what_a_container_leaves_in_a_shared_namespace_ends_with_it(host: Host, number: int) -> None:
    host.sandbox(number, pid_mode="task")
    host.wait_exit(host.start(number, "(sleep 8765 &); sleep 0.2", 0))
    watch = host.start(number, "while grep -q '[8]765' /proc/[0-9]*/cmdline; do sleep 0.1; done; echo alone", 1)
    assert host.output(watch).endswith("alone")


def test_a_shared_pid_namespace_outlives_the_agent(host: Host, number: int) -> None:
    host.sandbox(number, pid_mode="task")
    host.start(number, "exec sleep 5432", 0)
    host.reopen()
    host.sandbox(number, pid_mode="task")
    assert "5432" in host.output(host.start(number, "cat /proc/[0-9]*/cmdline", 1))


def test_nothing_is_left_of_a_removed_pid_namespace(host: Host, number: int) -> None:
    sandbox = host.sandbox(number, pid_mode="task")
    host.start(number, "sleep 60")
    host.node.remove_sandbox(sandbox.id)
    assert not _with(f"moorage-pause={sandbox.id}")


def _with(text: str) -> list[str]:
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if text.encode() in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def test_the_hosts_processes_are_seen_where_asked(host: Host, number: int) -> None:
    host.sandbox(number, "none", pid_mode="host")
    container = host.start(number, "readlink /proc/self/ns/pid; (sleep 9753 &); sleep 0.2")
    assert host.output(container) == os.readlink("/proc/self/ns/pid")
    wait_for("the end of what it left", lambda: not _with("sleep\0009753"))


def test_an_isolated_task_does_not_see_the_hosts_processes(host: Host, number: int) -> None:
    for mode in ({"pid_mode": "host"}, {"ipc_mode": "host"}):
        with pytest.raises(DriverError, match="shares neither"):
            host.sandbox(number, isolation="userns", **mode)


def test_containers_of_a_task_share_memory_where_asked(host: Host, number: int) -> None:
    host.sandbox(number, "none", ipc_mode="task")
    host.output(host.start(number, "echo word > /dev/shm/note", 0, shm_bytes=3 << 20))
    show = "cat /dev/shm/note; grep /dev/shm /proc/mounts; readlink /proc/self/ns/ipc"
    first, second = (host.output(host.start(number, show, at)).splitlines() for at in (1, 2))
    assert first[0] == "word"
    assert "size=3072k" in first[1]
    assert first[-1] == second[-1] != os.readlink("/proc/self/ns/ipc")


def test_memory_is_not_shared_unasked(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    host.output(host.start(number, "echo word > /dev/shm/note", 0))
    assert host.output(host.start(number, "ls /dev/shm", 1)) == ""


def test_the_hosts_memory_is_shared_where_asked(host: Host, number: int) -> None:
    host.sandbox(number, "none", ipc_mode="host")
    name = f"moorage-{number}-{os.getpid()}"
    try:
        container = host.start(number, f"readlink /proc/self/ns/ipc; echo word > /dev/shm/{name}")
        assert host.output(container) == os.readlink("/proc/self/ns/ipc")
        with open(f"/dev/shm/{name}") as file:
            assert file.read() == "word\n"
    finally:
        os.unlink(f"/dev/shm/{name}")


def test_without_ipc_there_is_no_shared_memory_at_all(host: Host, number: int) -> None:
    host.sandbox(number, "none", ipc_mode="none")
    assert host.output(host.start(number, "grep -c /dev/shm /proc/mounts")) == "0"
