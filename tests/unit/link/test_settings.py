"""A definition's settings in the engine's words."""

from __future__ import annotations

import json

from msgspec.structs import replace
from tests.unit.records import a_definition, a_task

from moorage.link import acs
from moorage.link.payload import task_payload
from moorage.model.task_definition import (
    ContainerDefinition,
    Device,
    HostEntry,
    LinuxParameters,
    SystemControl,
    TaskDefinition,
    Tmpfs,
)
from moorage.model.volumes import DockerVolume, FileSystemVolume, HostVolume, MountPoint, Volume, VolumeFrom

PART = ContainerDefinition(name="app", image="busybox", memory=64)
MIB = 1 << 20


def payload(part: ContainerDefinition = PART, **members: object) -> acs.Task:
    definition: TaskDefinition = replace(a_definition(part), **members)
    return task_payload(a_task(), definition)


def host_config(part: ContainerDefinition) -> dict[str, object]:
    given = payload(part).containers[0].docker_config
    assert given is not None
    told: dict[str, object] = json.loads(given.host_config or "{}")
    told.pop("NetworkMode")
    return told


def test_linux_parameters_are_told_in_bytes_and_letters() -> None:
    linux = LinuxParameters(
        devices=(
            Device(host_path="/dev/fuse"),
            Device(host_path="/dev/kvm", container_path="/k", permissions=("read",)),
        ),
        shared_memory_size=2,
        tmpfs=(Tmpfs(container_path="/t", size=3, mount_options=("exec", "mode=700")),),
        max_swap=16,
        swappiness=0,
    )
    assert host_config(replace(PART, linux_parameters=linux)) == {
        "MemorySwap": 80 * MIB,
        "MemorySwappiness": 0,
        "ShmSize": 2 * MIB,
        "Tmpfs": {"/t": "nosuid,nodev,exec,mode=700,size=3m"},
        "Devices": [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"},
            {"PathOnHost": "/dev/kvm", "PathInContainer": "/k", "CgroupPermissions": "r"},
        ],
    }


def test_swappiness_alone_means_nothing_as_ecs_has_it() -> None:
    assert host_config(replace(PART, linux_parameters=LinuxParameters(swappiness=7))) == {}


def test_names_and_kernel_parameters_are_told() -> None:
    part = replace(
        PART,
        system_controls=(SystemControl(namespace="net.core.somaxconn", value="9"),),
        docker_security_options=("no-new-privileges",),
        dns_servers=("10.0.0.1",),
        dns_search_domains=("a.b",),
        extra_hosts=(HostEntry(hostname="db", ip_address="10.0.0.2"),),
    )
    assert host_config(part) == {
        "Sysctls": {"net.core.somaxconn": "9"},
        "SecurityOpt": ["no-new-privileges"],
        "Dns": ["10.0.0.1"],
        "DnsSearch": ["a.b"],
        "ExtraHosts": ["db:10.0.0.2"],
    }


def test_standard_input_terminal_and_network_are_the_engines_configuration() -> None:
    part = replace(PART, interactive=True, pseudo_terminal=True, disable_networking=False, links=("db:d",))
    told = payload(part).containers[0]
    assert told.docker_config is not None
    assert json.loads(told.docker_config.config or "") == {"OpenStdin": True, "Tty": True, "NetworkDisabled": False}
    assert told.links == ("db:d",)


def test_volumes_are_told_by_kind() -> None:
    told = payload(
        volumes=(
            Volume(name="a"),
            Volume(name="b", host=HostVolume(source_path="/srv")),
            Volume(name="c", docker_volume_configuration=DockerVolume(scope="shared", autoprovision=True)),
            Volume(name="d", efs_volume_configuration=FileSystemVolume(file_system_id="fs-12345678")),
        ),
        pid_mode="task",
        ipc_mode="none",
    )
    assert told.volumes == (
        acs.Volume(name="a", type="host", host=acs.HostVolume()),
        acs.Volume(name="b", type="host", host=acs.HostVolume(source_path="/srv")),
        acs.Volume(
            name="c", type="docker", docker_volume_configuration=acs.DockerVolume(scope="shared", autoprovision=True)
        ),
        acs.Volume(name="d", type="efs", efs_volume_configuration=acs.EfsVolume(file_system_id="fs-12345678")),
    )
    assert (told.pid_mode, told.ipc_mode) == ("task", "none")


def test_mount_points_are_the_containers() -> None:
    part = replace(
        PART,
        mount_points=(MountPoint(source_volume="a", container_path="/a", read_only=True),),
        volumes_from=(VolumeFrom(source_container="b"),),
    )
    told = payload(part).containers[0]
    assert told.mount_points == (acs.MountPoint(source_volume="a", container_path="/a", read_only=True),)
    assert told.volumes_from == (acs.VolumeFrom(source_container="b"),)
