"""What of a task definition is told in the engine's own words: host settings of a container, and a task's volumes."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from moorage.link import acs, docker
from moorage.model.task_definition import (
    ContainerDefinition,
    Device,
    DevicePermission,
    KernelCapabilities,
    LinuxParameters,
    Tmpfs,
)
from moorage.model.volumes import FileSystemVolume, Volume

BYTES_PER_MIB: Final = 1024 * 1024
_PERMISSIONS: Final[dict[DevicePermission, str]] = {"read": "r", "write": "w", "mknod": "m"}
# What Docker gives every --tmpfs, unless the definition asks for the opposite.
_TMPFS_OPTIONS: Final = ("suid", "dev", "exec")


def with_settings(config: docker.HostConfig, part: ContainerDefinition, memory_mib: int | None) -> docker.HostConfig:
    """The host settings of a container with that much memory, with all that the definition says of them."""
    told = replace(
        config,
        sysctls={each.namespace: each.value for each in part.system_controls} or None,
        security_opt=part.docker_security_options or None,
        dns=part.dns_servers or None,
        dns_search=part.dns_search_domains or None,
        extra_hosts=tuple(f"{each.hostname}:{each.ip_address}" for each in part.extra_hosts or ()) or None,
    )
    return _with_linux(told, part.linux_parameters, memory_mib) if part.linux_parameters else told


def _with_linux(config: docker.HostConfig, linux: LinuxParameters, memory_mib: int | None) -> docker.HostConfig:
    capabilities = linux.capabilities or KernelCapabilities()
    limited = linux.max_swap is not None and memory_mib is not None
    return replace(
        config,
        cap_add=capabilities.add,
        cap_drop=capabilities.drop,
        init=linux.init_process_enabled,
        memory_swap=((memory_mib or 0) + (linux.max_swap or 0)) * BYTES_PER_MIB if limited else None,
        memory_swappiness=linux.swappiness if limited else None,  # which ECS ignores without a maxSwap
        shm_size=None if linux.shared_memory_size is None else linux.shared_memory_size * BYTES_PER_MIB,
        tmpfs={each.container_path: _tmpfs(each) for each in linux.tmpfs or ()} or None,
        devices=tuple(map(_device, linux.devices or ())) or None,
    )


def _tmpfs(given: Tmpfs) -> str:
    asked = given.mount_options or ()
    usual = tuple(f"no{option}" for option in _TMPFS_OPTIONS if option not in asked)
    return ",".join((*usual, *asked, f"size={given.size}m"))


def _device(given: Device) -> docker.Device:
    allowed = given.permissions or tuple(_PERMISSIONS)
    return docker.Device(
        path_on_host=given.host_path,
        path_in_container=given.container_path or given.host_path,
        cgroup_permissions="".join(letter for name, letter in _PERMISSIONS.items() if name in allowed),
    )


def mount_points(part: ContainerDefinition) -> tuple[acs.MountPoint, ...]:
    return tuple(
        acs.MountPoint(source_volume=each.source_volume, container_path=each.container_path, read_only=each.read_only)
        for each in part.mount_points
    )


def volumes_from(part: ContainerDefinition) -> tuple[acs.VolumeFrom, ...]:
    return tuple(
        acs.VolumeFrom(source_container=each.source_container, read_only=each.read_only) for each in part.volumes_from
    )


def volume(given: Volume) -> acs.Volume:
    """A task's volume; one that says nothing but its name is an empty one of the host's."""
    if given.docker_volume_configuration is not None:
        told = given.docker_volume_configuration
        docker_volume = acs.DockerVolume(
            scope=told.scope,
            autoprovision=told.autoprovision,
            driver=told.driver,
            driver_opts=told.driver_opts or {},
            labels=told.labels or {},
        )
        return acs.Volume(name=given.name, type="docker", docker_volume_configuration=docker_volume)
    if given.efs_volume_configuration is not None:
        return acs.Volume(name=given.name, type="efs", efs_volume_configuration=_efs(given.efs_volume_configuration))
    path = given.host.source_path if given.host else None
    return acs.Volume(name=given.name, type="host", host=acs.HostVolume(source_path=path or None))


def _efs(given: FileSystemVolume) -> acs.EfsVolume:
    return acs.EfsVolume(
        file_system_id=given.file_system_id,
        root_directory=given.root_directory,
        transit_encryption=given.transit_encryption,
    )
