"""What stands between a container and the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.agent.spec import DriverError, Mount

from .host import Host


def test_root_of_a_user_namespaced_task_is_nobody_on_the_host(host: Host, number: int) -> None:
    host.sandbox(number, isolation="userns")
    status = host.started(number, ("sleep", "60"))
    assert status.pid is not None
    lines = Path(f"/proc/{status.pid}/status").read_text().splitlines()
    uid = next(int(line.split()[1]) for line in lines if line.startswith("Uid:"))
    assert uid >= 0x8000_0000
    mapping = Path(f"/proc/{status.pid}/uid_map").read_text().split()
    assert mapping == ["0", str(uid), "65536"]


def test_a_user_namespaced_task_is_root_of_its_own_files(host: Host, number: int) -> None:
    host.sandbox(number, isolation="userns")
    container = host.start(
        number, "id -u; stat -c %u /bin/busybox /home/app; touch /new /etc/x && stat -c %u /new; echo a >> /etc/hosts"
    )
    assert host.output(container).split() == ["0", "0", "1000", "0"]
    changed = host.node.log_path(container).parent / "upper/new"
    assert changed.stat().st_uid >= 0x8000_0000


def test_two_user_namespaced_tasks_share_no_id(host: Host, number: int) -> None:
    firsts = set()
    for each in (number, number + 100):
        host.sandbox(each, isolation="userns")
        status = host.started(each, ("sleep", "60"))
        firsts.add(Path(f"/proc/{status.pid}/uid_map").read_text().split()[1])
    assert len(firsts) == 2


def test_containers_of_one_user_namespaced_task_share_its_namespace(host: Host, number: int) -> None:
    host.sandbox(number, isolation="userns")
    spaces = {host.output(host.start(number, "readlink /proc/self/ns/user /proc/self/ns/net", at)) for at in range(2)}
    assert len(spaces) == 1


def test_a_user_namespace_does_not_go_with_the_hosts_network(host: Host, number: int) -> None:
    with pytest.raises(DriverError, match="cannot share the host's network"):
        host.sandbox(number, "host", "userns")


def test_an_ordinary_container_has_dockers_capabilities_and_a_filter(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    shown = host.output(host.start(number, "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status"))
    assert shown.split() == ["CapEff:", "00000000a80425fb", "NoNewPrivs:", "0", "Seccomp:", "2"]


def test_refused_system_calls_are_refused_and_others_are_not(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(
        number, "exec 2>/dev/null; mount -t tmpfs x /tmp || echo no; unshare -m true || echo no; chroot / echo yes"
    )
    lines = host.output(container).splitlines()
    assert lines.count("no") == 2
    assert lines[-1] == "yes"


def test_dropped_and_added_capabilities_are_honoured(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    show = "grep CapEff /proc/self/status"
    assert "0000000000000000" in host.output(host.start(number, show, 0, capabilities_drop=("ALL",)))
    assert "0000000000001000" in host.output(
        host.start(number, show, 1, capabilities_drop=("ALL",), capabilities_add=("NET_ADMIN",))
    )


def test_a_privileged_container_may_mount(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "mount -t tmpfs x /tmp && echo mounted", privileged=True)
    assert host.output(container) == "mounted"


def test_a_read_only_root_is_read_only(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(
        number, "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm", readonly_root=True
    )
    assert host.output(container).splitlines()[-2:] == ["refused", "shm"]


def test_changes_stay_in_the_container(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    host.wait_exit(host.start(number, "rm /bin/ls; echo x > /etc/passwd", 0))
    assert host.output(host.start(number, "ls -d /tmp; grep -c root /etc/passwd", 1)).split() == ["/tmp", "1"]


def test_mounts_of_the_host_are_shown(host: Host, number: int, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("given")
    host.sandbox(number, "none")
    mount = Mount(source=str(tmp_path), target="/data", readonly=True)
    container = host.start(number, "cat /data/word; touch /data/x || echo refused", mounts=(mount,))
    assert "given" in host.output(container)
    assert not (tmp_path / "x").exists()


def test_a_symbolic_link_in_the_image_leads_nowhere_on_the_host(host: Host, number: int, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (tmp_path / "stolen").write_text("thief:x:4242:4242::/:/bin/sh\n")
    (layer / "etc/passwd").symlink_to(tmp_path / "stolen")
    usual, layers = host.image, (*host.image.layers, str(layer))
    host.sandbox(number, "none")
    host.image = type(usual)(digest="x", layers=layers)
    try:
        with pytest.raises(DriverError, match="unable to find user thief"):
            host.start(number, "true", user="thief")
    finally:
        host.image = usual


def test_gvisor_runs_a_container_on_its_own_kernel(host: Host, number: int) -> None:
    address = host.sandbox(number, isolation="runsc").address
    container = host.start(number, f"dmesg | grep -c gVisor; ip addr | grep -c {address}; exit 6")
    assert host.wait_exit(container).code == 6
    assert host.log(container).split() == ["1", "1"]
    with pytest.raises(DriverError, match="holds one container"):
        host.start(number, "true", 1)
