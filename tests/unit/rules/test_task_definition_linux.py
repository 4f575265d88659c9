"""What a registration may say of a container's kernel, devices, and names."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import FARGATE, a_part, refusal, registered


def linux(**members: object) -> dict[str, object]:
    return a_part(linuxParameters=members)


def control(namespace: str, value: str = "1") -> dict[str, object]:
    return a_part(systemControls=[{"namespace": namespace, "value": value}])


NAMESPACED = ["net.core.somaxconn", "kernel.shm_rmid_forced", "kernel.msgmax", "kernel.sem", "fs.mqueue.msg_max"]


@pytest.mark.parametrize("namespace", NAMESPACED)
def test_namespaced_kernel_parameters_are_kept(namespace: str) -> None:
    (container,) = registered(control(namespace)).containers
    assert [(one.namespace, one.value) for one in container.system_controls] == [(namespace, "1")]


@pytest.mark.parametrize("namespace", ["vm.swappiness", "kernel.panic", "net.", "net.a/../../kernel.panic", ""])
def test_other_kernel_parameters_are_refused(namespace: str) -> None:
    assert "is not a namespaced kernel parameter" in refusal(control(namespace))


def test_a_kernel_parameter_has_a_value_and_is_set_once() -> None:
    assert "with a value" in refusal(control("net.core.somaxconn", ""))
    one = {"namespace": "net.core.somaxconn", "value": "1"}
    assert "set more than once" in refusal(a_part(systemControls=[one, one]))


def test_parameters_of_a_shared_namespace_are_refused() -> None:
    assert "networkMode=host" in refusal(control("net.core.somaxconn"), networkMode="host")
    assert "ipcMode=host" in refusal(control("kernel.sem"), ipcMode="host")
    assert registered(control("kernel.sem"), ipcMode="task", networkMode="host")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"sharedMemorySize": 0}, "'sharedMemorySize' must be at least 1"),
        ({"maxSwap": -1}, "'maxSwap' must not be negative"),
        ({"swappiness": 101}, "'swappiness' must be between"),
        ({"devices": [{"hostPath": "dev/fuse"}]}, "paths of a device must be absolute"),
        ({"tmpfs": [{"containerPath": "t", "size": 1}]}, "containerPath of a tmpfs"),
        ({"tmpfs": [{"containerPath": "/", "size": 1}]}, "containerPath of a tmpfs"),
        ({"tmpfs": [{"containerPath": "/t", "size": 0}]}, "size of a tmpfs"),
        ({"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["rbind"]}]}, "'rbind' cannot be given"),
        ({"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["mode=1,exec"]}]}, "cannot be given"),
    ],
)
def test_linux_parameters_that_cannot_be_are_refused(members: dict[str, object], why: str) -> None:
    assert why in refusal(linux(**members))


def test_swap_is_limited_beside_a_limit_of_memory() -> None:
    assert "'maxSwap' needs 'memory'" in refusal(
        a_part(memory=None, memoryReservation=64, linuxParameters={"maxSwap": 1})
    )
    assert registered(linux(maxSwap=0, swappiness=0))


def test_linux_parameters_are_kept_as_given() -> None:
    tmpfs = {"containerPath": "/t", "size": 8, "mountOptions": ["noexec", "mode=1777", "nodiratime"]}
    device = {"hostPath": "/dev/fuse", "permissions": ["read", "write"]}
    (container,) = registered(linux(tmpfs=[tmpfs], devices=[device], sharedMemorySize=64)).containers
    assert container.linux_parameters is not None
    (kept,) = container.linux_parameters.tmpfs or ()
    assert kept.mount_options == ("noexec", "mode=1777", "nodiratime")
    assert (container.linux_parameters.devices or ())[0].permissions == ("read", "write")


@pytest.mark.parametrize("option", ["no-new-privileges", "apparmor:mine", "label:type:svirt_apache_t"])
def test_security_options_are_kept(option: str) -> None:
    assert registered(a_part(dockerSecurityOptions=[option])).containers[0].docker_security_options == (option,)


@pytest.mark.parametrize("option", ["credentialspec:file://x", "seccomp=unconfined", "apparmor:", ""])
def test_other_security_options_are_refused(option: str) -> None:
    assert "The security option" in refusal(a_part(dockerSecurityOptions=[option]))


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"links": ["a b"]}, "must be a container's name"),
        ({"links": ["app"]}, "app"),
        ({"links": ["other"]}, "another container of the task, not 'other'"),
        ({"extraHosts": [{"hostname": "a b", "ipAddress": "10.0.0.1"}]}, "is no host name"),
        ({"extraHosts": [{"hostname": "a", "ipAddress": "10.0.0"}]}, "has no IP address"),
        ({"dnsServers": ["ns.example"]}, "is no IP address"),
        ({"dnsServers": ["10.0.0.1"] * 4}, "At most 3 DNS servers"),
        ({"dnsSearchDomains": ["a b"]}, "is no domain name"),
        ({"disableNetworking": True, "portMappings": [{"containerPort": 80}]}, "no ports"),
        ({"resourceRequirements": [{"type": "InferenceAccelerator", "value": "x"}]}, "InferenceAccelerator"),
        ({"resourceRequirements": [{"type": "GPU", "value": "0"}]}, "number of GPUs"),
    ],
)
def test_names_and_requirements_that_cannot_be_are_refused(members: dict[str, object], why: str) -> None:
    assert why in refusal(a_part(**members))


def test_names_are_kept_as_given() -> None:
    members = {
        "links": ["db:database"],
        "extraHosts": [{"hostname": "a.b", "ipAddress": "fd00::1"}, {"hostname": "h", "ipAddress": "host-gateway"}],
        "dnsServers": ["10.0.0.1"],
        "dnsSearchDomains": ["."],
    }
    container = registered(a_part(**members), a_part(name="db")).containers[0]
    assert container.links == ("db:database",)
    assert [one.ip_address for one in container.extra_hosts or ()] == ["fd00::1", "host-gateway"]


def test_links_and_further_hosts_belong_to_some_network_modes() -> None:
    assert "networkMode=bridge" in refusal(a_part(links=["db"]), a_part(name="db"), networkMode="host")
    host = a_part(extraHosts=[{"hostname": "a", "ipAddress": "10.0.0.1"}])
    assert "networkMode=awsvpc" in refusal(host, networkMode="awsvpc")
    gate = a_part(extraHosts=[{"hostname": "a", "ipAddress": "host-gateway"}])
    assert "has no IP address" in refusal(gate, networkMode="host")


def test_links_are_dependencies_and_form_no_circle() -> None:
    assert "form a circle" in refusal(a_part(links=["db"]), a_part(name="db", links=["app"]))


@pytest.mark.parametrize(("member", "modes"), [("pidMode", ["host", "task"]), ("ipcMode", ["host", "task", "none"])])
def test_shared_namespaces_are_kept_and_others_refused(member: str, modes: list[str]) -> None:
    for mode in modes:
        assert "ecs.capability.pid-ipc-namespace-sharing" in registered(**{member: mode}).requires_attributes
    assert f"Unknown {member} 'mine'" in refusal(**{member: "mine"})


def test_a_task_without_shared_memory_has_no_size_of_it() -> None:
    for mode in ("host", "none"):
        assert f"ipcMode={mode}" in refusal(linux(sharedMemorySize=1), ipcMode=mode)


@pytest.mark.parametrize(
    ("part", "task", "why"),
    [
        (linux(devices=[{"hostPath": "/dev/fuse"}]), {}, "devices"),
        (linux(sharedMemorySize=1), {}, "sharedMemorySize"),
        (linux(maxSwap=0), {}, "maxSwap"),
        (linux(swappiness=0), {}, "swappiness"),
        (a_part(dnsServers=["10.0.0.1"]), {}, "dnsServers"),
        (a_part(dnsSearchDomains=["a"]), {}, "dnsSearchDomains"),
        (a_part(dockerSecurityOptions=["no-new-privileges"]), {}, "dockerSecurityOptions"),
        (a_part(resourceRequirements=[{"type": "GPU", "value": "1"}]), {}, "resourceRequirements"),
        (a_part(), {"pidMode": "host"}, "The supported value for pidMode is 'task'"),
        (a_part(), {"ipcMode": "task"}, "ipcMode"),
        (a_part(), {"volumes": [{"name": "v", "host": {"sourcePath": "/srv"}}]}, "sourcePath"),
        (a_part(), {"volumes": [{"name": "v", "dockerVolumeConfiguration": {}}]}, "dockerVolumeConfiguration"),
    ],
)
def test_fargate_refuses_what_belongs_to_a_host(part: dict[str, object], task: dict[str, object], why: str) -> None:
    text = refusal(part, **FARGATE, **task)
    assert text.startswith("Tasks using the Fargate launch type do not support ")
    assert why in text


def test_fargate_takes_what_is_the_tasks_own() -> None:
    part = linux(tmpfs=[{"containerPath": "/t", "size": 8}], initProcessEnabled=True)
    part |= {"systemControls": [{"namespace": "net.core.somaxconn", "value": "9"}], "interactive": True}
    efs = {"name": "e", "efsVolumeConfiguration": {"fileSystemId": "fs-12345678"}}
    assert registered(part, pidMode="task", volumes=[{"name": "v"}, efs], **FARGATE).compatibilities
