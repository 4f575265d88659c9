"""Settings of a container that its kernel and its supervisor carry out, seen from inside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.agent.spec import Device, DriverError, Isolation, Tmpfs, Ulimit

from .host import Host, wait_for

BOTH = pytest.mark.parametrize("isolation", ["namespaces", "userns"])


@BOTH
def test_kernel_parameters_are_the_containers_own(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation)
    sysctls = (("net.core.somaxconn", "77"), ("net.ipv4.ip_local_port_range", "2000 3000"), ("kernel.shmmni", "99"))
    names = " ".join("/proc/sys/" + name.replace(".", "/") for name, _ in sysctls)
    assert host.output(host.start(number, f"cat {names}", sysctls=sysctls)).split() == ["77", "2000", "3000", "99"]
    assert Path("/proc/sys/kernel/shmmni").read_text().strip() != "99"


def test_a_kernel_parameter_that_is_not_there_fails_the_container(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="net/ipv4/nothing"):
        host.start(number, "true", sysctls=(("net.ipv4.nothing", "1"),))


def test_an_init_process_is_the_first_and_reaps(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    script = "cat /proc/1/comm; (sleep 0.01 &) ; sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status; exit 4"
    container = host.start(number, script, init=True)
    assert host.wait_exit(container).code == 4
    assert host.log(container).split() == ["init"]


def test_an_init_process_hands_signals_on(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done", init=True)
    host.wait_log(container, "up")
    host.node.signal_container(container, "TERM")
    assert host.wait_exit(container).code == 9


@BOTH
def test_a_directory_in_memory_has_its_size_and_options(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, "none" if isolation == "namespaces" else "awsvpc", isolation)
    tmpfs = (Tmpfs(target="/scratch", options=("nosuid", "noexec", "mode=1770", "size=4m")),)
    shown = host.output(host.start(number, "stat -c %a /scratch; grep ' /scratch ' /proc/mounts", tmpfs=tmpfs))
    assert shown.startswith("1770\n")
    assert "noexec" in shown
    assert "size=4096k" in shown


def test_shared_memory_has_the_size_asked_for(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    assert "size=8192k" in host.output(host.start(number, "grep /dev/shm /proc/mounts", shm_bytes=8 << 20))


def test_a_device_is_given_with_its_permissions(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    device = Device(source="/dev/loop-control", target="/dev/given", permissions="r")
    script = "stat -c %t:%T /dev/given; exec 2>&1; : < /dev/given && echo read; (: > /dev/given) || echo refused"
    lines = host.output(host.start(number, script, devices=(device,))).splitlines()
    assert lines[0] == "a:ed"
    assert "read" in lines
    assert lines[-1] == "refused"
    assert "refused" in host.output(host.start(number, "mknod /d c 10 237; (: < /d) || echo refused", 1))


def test_a_device_that_the_host_has_not_fails_the_container(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="/dev/nothing"):
        host.start(number, "true", devices=(Device(source="/dev/nothing", target="/dev/x"),))


def test_a_privileged_container_has_the_hosts_devices(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    assert host.output(host.start(number, "stat -c %F /dev/loop-control", privileged=True)).startswith("character")


@pytest.mark.skipif(
    not Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists(), reason="no swap accounting of cgroup v1"
)
def test_swap_is_limited_beside_the_memory(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    names = "memory.limit_in_bytes memory.memsw.limit_in_bytes memory.swappiness"
    container = host.start(
        number,
        f"cd /sys/fs/cgroup/memory; cat {names}",
        memory_max_bytes=32 << 20,
        swap_max_bytes=16 << 20,
        swappiness=7,
    )
    assert host.output(container).split() == [str(32 << 20), str(48 << 20), "7"]


def test_no_new_privileges_holds(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    assert (
        host.output(host.start(number, "grep NoNewPrivs /proc/self/status", no_new_privileges=True)).split()[1] == "1"
    )


@pytest.mark.skipif(Path("/sys/module/apparmor").exists(), reason="this host has AppArmor")
def test_a_profile_of_a_host_without_apparmor_fails_the_container(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="AppArmor is not enabled"):
        host.start(number, "true", apparmor_profile="docker-default")


def test_standard_input_ends_at_once_unless_it_is_held_open(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    assert host.output(host.start(number, "cat; echo ended")) == "ended"
    waiting = host.start(number, "read line; echo $?", 1, open_stdin=True)
    assert host.node.status(waiting).state == "running"
    assert host.log(waiting) == ""
    host.node.remove_container(waiting)


@pytest.mark.parametrize("open_stdin", [False, True])
def test_a_terminal_is_one(host: Host, number: int, open_stdin: bool) -> None:
    host.sandbox(number, "none")
    script = "tty; stty size; for n in 0 1 2; do test -t $n && echo $n; done; exit 5"
    container = host.start(number, script, terminal=True, open_stdin=open_stdin)
    assert host.wait_exit(container).code == 5
    assert host.log(container).replace("\r", "").split()[-3:] == ["0", "1", "2"]


def test_every_resource_limit_holds(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    # As /proc/self/limits names them; nothing is above what a host without CAP_SYS_RESOURCE may give.
    limits = {
        "core": ("core file size", 1 << 18),
        "cpu": ("cpu time", 1 << 18),
        "data": ("data size", 1 << 24),
        "fsize": ("file size", 1 << 18),
        "locks": ("file locks", 1 << 18),
        "memlock": ("locked memory", 1 << 12),
        "msgqueue": ("msgqueue size", 1 << 12),
        "nice": ("nice priority", 0),
        "nofile": ("open files", 1 << 10),
        "nproc": ("processes", 1 << 10),
        "rss": ("resident set", 1 << 18),
        "rtprio": ("realtime priority", 0),
        "rttime": ("realtime timeout", 1 << 18),
        "sigpending": ("pending signals", 1 << 10),
        "stack": ("stack size", 1 << 22),
    }
    ulimits = tuple(Ulimit(name=name, soft=soft, hard=soft * 2) for name, (_, soft) in limits.items())
    shown = host.output(host.start(number, "cat /proc/self/limits", ulimits=ulimits))
    lines = [" ".join(line.lower().split()) for line in shown.splitlines()]
    for what, soft in limits.values():
        assert any(line.startswith(f"max {what} {soft} {soft * 2}") for line in lines), (what, lines)


def test_further_hosts_and_aliases_are_known(host: Host, number: int) -> None:
    address = host.sandbox(number, "bridge").address
    extra = (("db.example", "10.9.8.7"), ("outside", "host-gateway"))
    lines = host.output(host.start(number, "cat /etc/hosts", extra_hosts=extra, aliases=("cache",))).splitlines()
    pairs = {tuple(line.split()) for line in lines}
    assert {("10.9.8.7", "db.example"), ("10.214.0.1", "outside"), (address, "cache")} <= pairs
    assert "db.example" not in host.output(host.start(number, "cat /etc/hosts", 1))


def test_a_containers_own_resolvers_replace_the_sandboxes(host: Host, number: int) -> None:
    host.sandbox(number)
    show = "cat /etc/resolv.conf"
    both = host.output(host.start(number, show, dns_servers=("10.1.1.1", "10.1.1.2"), dns_search=("a.b", "c.d")))
    assert both.splitlines() == ["search a.b c.d", "nameserver 10.1.1.1", "nameserver 10.1.1.2"]
    servers = host.output(host.start(number, show, 1, dns_servers=("10.1.1.1",)))
    assert servers.splitlines() == ["search example.internal", "nameserver 10.1.1.1"]
    search = host.output(host.start(number, show, 2, dns_search=("x.y",)))
    assert search.splitlines() == ["search x.y", "nameserver 10.213.0.2"]


def test_a_container_without_network_has_only_its_loopback(host: Host, number: int) -> None:
    host.sandbox(number)
    assert host.output(host.start(number, "ls /sys/class/net", network_disabled=True)).split() == ["lo"]
    assert "eth0" in host.output(host.start(number, "ls /sys/class/net", 1))


def test_the_pid_of_a_started_container_is_seen_from_the_host(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    status = host.started(number, ("sleep", "60"), terminal=True)
    wait_for("the process", lambda: os.path.exists(f"/proc/{status.pid}"))
