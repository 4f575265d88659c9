"""What surrounds a container, from a payload to the specs that the node's drivers are given."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.agent.payload import read_payload
from moorage.agent.payload_settings import with_container_settings, with_task_settings
from moorage.agent.spec import (
    ContainerId,
    Device,
    DockerVolume,
    FileSystemVolume,
    HostVolume,
    Isolation,
    MountPoint,
    SandboxSpec,
    ScratchVolume,
    Tmpfs,
    VolumesFrom,
)
from moorage.agent.task import TaskPlan
from moorage.link import acs, docker
from tests.unit.agent.test_reading_payloads import CLUSTER, ENI, ID, TRAITS, container, task

MIB = 1 << 20
HOST = acs.Volume(name="v", type="host", host=acs.HostVolume(source_path="/srv"))


def volume(**members: object) -> acs.Volume:
    kind = acs.DockerVolume(**members)  # type: ignore[arg-type]  # each test names what it is about
    return acs.Volume(name="v", type="docker", docker_volume_configuration=kind)


def file_system(**members: object) -> acs.Volume:
    kind = acs.EfsVolume(file_system_id="fs-12345678", **members)  # type: ignore[arg-type]
    return acs.Volume(name="v", type="efs", efs_volume_configuration=kind)


def read(given: acs.Task) -> TaskPlan | str:
    """The plan, or why there is none."""
    message = acs.PayloadMessage(
        cluster_arn=CLUSTER, container_instance_arn="arn:i", message_id="m", seq_num=1, tasks=(given,)
    )
    event = read_payload(message, TRAITS)
    return event.run[0] if event.run else event.refused[0].reason


def plan_of(given: acs.Task) -> TaskPlan:
    plan = read(given)
    assert isinstance(plan, TaskPlan), plan
    return plan


def test_volumes_become_those_of_the_sandbox() -> None:
    options = {"type": "tmpfs", "device": "tmpfs"}
    given = replace(
        task(),
        volumes=(
            replace(HOST, name="a", host=acs.HostVolume()),
            HOST,
            replace(volume(scope="shared", autoprovision=True, driver="local", driver_opts=options), name="b"),
            replace(file_system(root_directory="/x", transit_encryption="ENABLED"), name="c"),
        ),
    )
    assert plan_of(given).sandbox.volumes == (
        ScratchVolume(name="a"),
        HostVolume(name="v", path="/srv"),
        DockerVolume(name="b", shared=True, autoprovision=True, options=(("device", "tmpfs"), ("type", "tmpfs"))),
        FileSystemVolume(name="c", file_system="fs-12345678", root="/x", encrypted=True),
    )


def test_mount_points_and_volumes_of_others_are_the_containers() -> None:
    point = acs.MountPoint(source_volume="v", container_path="/data", read_only=True)
    lender = replace(container(), name="lender", mount_points=(point,))
    borrower = replace(container(), volumes_from=(acs.VolumeFrom(source_container="lender"),))
    first, second = plan_of(replace(task(lender, borrower), volumes=(HOST,))).containers
    assert first.spec.mount_points == (MountPoint(volume="v", target="/data", readonly=True),)
    assert (first.spec.lends_volumes, second.spec.lends_volumes) == (True, False)
    assert second.spec.volumes_from == (VolumesFrom(container=ContainerId(f"{ID}-0")),)
    assert [(each.index, each.condition) for each in second.depends_on] == [(0, "START")]


def test_shared_namespaces_are_the_sandboxes() -> None:
    sandbox = plan_of(replace(task(), pid_mode="task", ipc_mode="host")).sandbox
    assert (sandbox.pid_mode, sandbox.ipc_mode) == ("task", "host")
    assert plan_of(task()).sandbox.pid_mode == "own"


def test_the_engines_settings_reach_the_container() -> None:
    host = docker.HostConfig(
        memory_swap=96 * MIB,
        memory_swappiness=10,
        shm_size=MIB,
        tmpfs={"/t": "nosuid,size=1m"},
        devices=(docker.Device(path_on_host="/dev/fuse", path_in_container="/dev/f", cgroup_permissions="r"),),
        sysctls={"net.core.somaxconn": "9"},
        security_opt=("no-new-privileges:true", "apparmor=mine"),
        dns=("10.0.0.1",),
        dns_search=("a.b",),
        extra_hosts=("six:fd00::1", "gate:host-gateway"),
    )
    given = container(host, docker.Config(open_stdin=True, tty=True, network_disabled=True))
    linked = replace(container(), name="db")
    part = replace(given, memory=64, links=("db:database", "db"))
    spec = plan_of(task(part, linked)).containers[0].spec
    assert (spec.swap_max_bytes, spec.swappiness, spec.shm_bytes) == (32 * MIB, 10, MIB)
    assert spec.tmpfs == (Tmpfs(target="/t", options=("nosuid", "size=1m")),)
    assert spec.devices == (Device(source="/dev/fuse", target="/dev/f", permissions="r"),)
    assert spec.sysctls == (("net.core.somaxconn", "9"),)
    assert (spec.no_new_privileges, spec.apparmor_profile) == (True, "mine")
    assert (spec.open_stdin, spec.terminal, spec.network_disabled) == (True, True, True)
    assert (spec.dns_servers, spec.dns_search) == (("10.0.0.1",), ("a.b",))
    assert spec.extra_hosts == (("six", "fd00::1"), ("gate", "host-gateway"))
    assert spec.aliases == ("database", "db")


LENT = acs.VolumeFrom(source_container="nobody")
MOUNTED = acs.MountPoint(source_volume="nothing", container_path="/x")


def with_host(**members: object) -> acs.Task:
    return task(container(docker.HostConfig(**members)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (replace(task(), volumes=(replace(HOST, name="../x"),)), "volume name '../x'"),
        (replace(task(), volumes=(replace(HOST, type="fsxWindowsFileServer"),)), "of a kind (fsxWindowsFileServer)"),
        (replace(task(), volumes=(volume(driver="rexray"),)), "volume driver rexray"),
        (replace(task(), volumes=(volume(autoprovision=True),)), "cannot be autoprovisioned"),
        (
            replace(task(), volumes=(file_system(authorization_config=acs.EfsAuthorization(iam="ENABLED")),)),
            "access point or IAM",
        ),
        (replace(task(), volumes=(file_system(transit_encryption_port=2049),)), "transit encryption port"),
        (task(replace(container(), mount_points=(MOUNTED,))), "mounts the volume nothing"),
        (task(replace(container(), volumes_from=(LENT,))), "volumes from nobody"),
        (with_host(security_opt=("label:user:x",)), "security option label:user:x"),
        (with_host(extra_hosts=("a:nowhere",)), "extra host a:nowhere"),
        (with_host(tmpfs={"relative": ""}), "path relative is not absolute"),
        (with_host(memory_swap=MIB), "limit of memory and swap"),
    ],
)
def test_what_cannot_be_is_refused(given: acs.Task, why: str) -> None:
    reason = read(given)
    assert isinstance(reason, str)
    assert why in reason


@pytest.mark.parametrize("given", [HOST, volume()])
def test_an_isolated_task_reaches_no_directory_of_its_host(given: acs.Volume) -> None:
    fargate = replace(
        task(), launch_type="FARGATE", network_mode="awsvpc", elastic_network_interfaces=(ENI,), volumes=(given,)
    )
    reason = read(fargate)
    assert isinstance(reason, str)
    assert "does not offer to such a task" in reason


def test_containers_that_have_their_volumes_from_each_other_are_refused() -> None:
    parts = [
        replace(container(), name=name, volumes_from=(acs.VolumeFrom(source_container=other),))
        for name, other in (("a", "b"), ("b", "a"))
    ]
    reason = read(task(*parts))
    assert isinstance(reason, str)
    assert "cannot be resolved" in reason


def test_settings_are_laid_over_specs_and_change_nothing_else() -> None:
    spec = SandboxSpec(id=plan_of(task()).id, network_mode="none", isolation="namespaces", pids_max=5)
    assert with_task_settings(spec, task()) == spec
    isolation: Isolation = "namespaces"
    plain = plan_of(task()).containers[0].spec
    assert with_container_settings(plain, task(), 0, isolation) == plain
