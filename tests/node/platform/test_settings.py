"""Settings of a task definition's containers, seen from inside them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.node.platform.installation import FOREVER, IMAGE, Installation, container_of

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])


def linux(**members: object) -> dict[str, Any]:
    return {"linuxParameters": members}


@BOTH
def test_system_controls_are_set(shared: Installation, how: dict[str, bool]) -> None:
    wanted = {"net.core.somaxconn": "77", "kernel.shmmni": "99", "fs.mqueue.msg_max": "7"}
    controls = [{"namespace": name, "value": value} for name, value in wanted.items()]
    files = [f"/proc/sys/{name.replace('.', '/')}" for name in wanted]
    assert shared.output(["cat", *files], container={"systemControls": controls}, **how) == list(wanted.values())


@BOTH
def test_an_init_process_comes_first(shared: Installation, how: dict[str, bool]) -> None:
    script = ["sh", "-c", "cat /proc/1/comm; exit 3"]
    task = shared.ended(script, logs="/test/output", container=linux(initProcessEnabled=True), **how)
    assert shared.log_lines("/test/output", task) == ["init"]
    assert container_of(task)["exitCode"] == 3


@BOTH
def test_a_tmpfs_has_its_size_and_options(shared: Installation, how: dict[str, bool]) -> None:
    tmpfs = [{"containerPath": "/scratch", "size": 4, "mountOptions": ["mode=1770", "exec"]}]
    script = ["sh", "-c", "stat -c %a /scratch; grep ' /scratch ' /proc/mounts"]
    mode, mount = shared.output(script, container=linux(tmpfs=tmpfs), **how)
    assert mode == "1770"
    assert "size=4096k" in mount
    assert "noexec" not in mount


def test_shared_memory_devices_and_swap(shared: Installation) -> None:
    device = {"hostPath": "/dev/loop-control", "containerPath": "/dev/given", "permissions": ["read"]}
    container = linux(sharedMemorySize=8, devices=[device])
    script = [
        "sh",
        "-c",
        "grep -o 'size=8192k' /proc/mounts; stat -c %F /dev/given; (: >/dev/given) 2>/dev/null || echo no",
    ]
    assert shared.output(script, container=container) == ["size=8192k", "character special file", "no"]
    read = "cd /sys/fs/cgroup; cat memory/memory.memsw.limit_in_bytes 2>/dev/null || cat memory.swap.max"
    (swap,) = shared.output(["sh", "-c", read], container=linux(maxSwap=16))
    assert int(swap) in ((64 + 16) << 20, 16 << 20)


def test_names_are_in_the_files_of_the_container(shared: Installation) -> None:
    container = {
        "hostname": "chosen",
        "links": ["db:database"],
        "extraHosts": [{"hostname": "far.example", "ipAddress": "10.9.8.7"}],
        "dnsServers": ["10.1.1.1"],
        "dnsSearchDomains": ["a.b"],
    }
    side = {"name": "db", "image": IMAGE, "memory": 32, "essential": False, "command": ["true"]}
    script = ["sh", "-c", "hostname; cat /etc/resolv.conf; hostname -i; cat /etc/hosts"]
    lines = shared.output(script, container=container, others=[side])
    assert lines[:3] == ["chosen", "search a.b", "nameserver 10.1.1.1"]
    pairs = {tuple(line.split()) for line in lines[4:]}
    assert {("10.9.8.7", "far.example"), (lines[3], "database"), (lines[3], "db"), (lines[3], "chosen")} <= pairs


def test_privileges_input_and_terminal(shared: Installation) -> None:
    container = {"dockerSecurityOptions": ["no-new-privileges"], "pseudoTerminal": True}
    script = ["sh", "-c", "grep NoNewPrivs /proc/self/status; test -t 0 && test -t 1 && echo terminal"]
    assert [line.split() for line in shared.output(script, container=container)] == [
        ["NoNewPrivs:", "1"],
        ["terminal"],
    ]
    task = shared.running(["cat"], container={"interactive": True})
    assert shared.task(task["taskArn"])["lastStatus"] == "RUNNING"
    shared.stopped(task)
    assert container_of(shared.ended(["cat"]))["exitCode"] == 0


@BOTH
def test_containers_of_a_task_see_each_others_processes_where_asked(
    shared: Installation, how: dict[str, bool]
) -> None:
    side = {"name": "side", "image": IMAGE, "memory": 32, "essential": False, "command": ["sleep", "97531"]}
    wait = ["sh", "-c", "until grep -q '[9]7531' /proc/[0-9]*/cmdline; do sleep 0.1; done; echo seen"]
    assert shared.output(wait, task={"pidMode": "task"}, others=[side], **how) == ["seen"]


def test_the_hosts_processes_and_memory_are_seen_where_asked(shared: Installation) -> None:
    script = [
        "sh",
        "-c",
        "for p in 1 self; do readlink /proc/$p/ns/pid; done | uniq | wc -l; test -w /dev/shm && echo shm",
    ]
    task = {"pidMode": "host", "ipcMode": "host"}
    assert shared.output(script, task=task, container={"privileged": True}) == ["1", "shm"]
    assert shared.output(["grep", "-c", "/dev/shm", "/proc/mounts"], task={"ipcMode": "none"}) == ["0"]


def test_containers_share_memory_where_asked(shared: Installation) -> None:
    side = {"name": "side", "image": IMAGE, "memory": 32, "essential": False}
    side["command"] = ["sh", "-c", "echo word > /dev/shm/note"]
    wait = ["sh", "-c", "until [ -s /dev/shm/note ]; do sleep 0.1; done; cat /dev/shm/note"]
    assert shared.output(wait, task={"ipcMode": "task"}, others=[side]) == ["word"]


def test_resource_limits_hold(shared: Installation) -> None:
    ulimits = [
        {"name": "nofile", "softLimit": 100, "hardLimit": 200},
        {"name": "core", "softLimit": 0, "hardLimit": 0},
    ]
    script = ["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"]
    assert shared.output(script, container={"ulimits": ulimits}) == ["100", "200", "0"]


def test_a_container_without_network_has_none(shared: Installation) -> None:
    assert shared.output(["ls", "/sys/class/net"], container={"disableNetworking": True}) == ["lo"]


def test_gpus_are_refused_at_placement_with_the_reason(shared: Installation) -> None:
    container = {"resourceRequirements": [{"type": "GPU", "value": "1"}]}
    definition = shared.define(FOREVER, container=container)
    (failure,) = shared.ecs.run_task(taskDefinition=definition["taskDefinitionArn"])["failures"]
    assert failure["reason"] == "RESOURCE:GPU"
    assert failure["detail"] == "1 node: 1 has no GPU that a task could be given"


@pytest.mark.parametrize("option", ["apparmor:mine", "label:type:x"])
def test_what_guards_no_host_here_is_refused_at_placement(shared: Installation, option: str) -> None:
    definition = shared.define(FOREVER, container={"dockerSecurityOptions": [option]})
    (failure,) = shared.ecs.run_task(taskDefinition=definition["taskDefinitionArn"])["failures"]
    assert failure["reason"] == "ATTRIBUTE"


def test_another_architecture_is_refused_at_placement(shared: Installation) -> None:
    for platform, why in (
        ({"cpuArchitecture": "ARM64"}, "another CPU architecture"),
        ({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}, "another operating system"),
    ):
        definition = shared.define(FOREVER, task={"runtimePlatform": platform})
        (failure,) = shared.ecs.run_task(taskDefinition=definition["taskDefinitionArn"])["failures"]
        assert why in failure["detail"]
