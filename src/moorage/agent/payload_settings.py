"""What a payload says of a container's surroundings (volumes, devices, namespaces, names), made into specs.

Raises `Unfit` for what this agent does not offer.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from msgspec.structs import replace

from moorage.agent.spec import (
    ContainerId,
    ContainerSpec,
    Device,
    DockerVolume,
    FileSystemVolume,
    HostVolume,
    Isolation,
    MountPoint,
    SandboxSpec,
    ScratchVolume,
    Tmpfs,
    Volume,
    VolumesFrom,
)
from moorage.link import acs, docker

# It becomes the name of a directory.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
_NO_NEW_PRIVILEGES: Final = frozenset(
    ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true", "no-new-privileges:1")
)
# An absent `host` path, as the published agent has it, is an empty directory of the task's.
_NO_HOST: Final = acs.HostVolume()


class Unfit(Exception):
    """The sentence goes into the task's reason."""


def with_task_settings(spec: SandboxSpec, task: acs.Task) -> SandboxSpec:
    """The sandbox with the namespaces that the task shares, and its volumes."""
    return replace(
        spec,
        storage_max_bytes=task.ephemeral_storage_gib << 30 if task.ephemeral_storage_gib else None,
        pid_mode=task.pid_mode or "own",
        ipc_mode=task.ipc_mode or "own",
        volumes=tuple(_volume(each, spec.isolation) for each in task.volumes),
    )


def _volume(given: acs.Volume, isolation: Isolation) -> Volume:
    if not _NAME.match(given.name):
        raise Unfit(f"the volume name {given.name!r} is not 1 to 255 letters, digits, underscores and hyphens")
    if given.type == "efs" and given.efs_volume_configuration is not None:
        return _file_system(given.name, given.efs_volume_configuration)
    if given.type == "docker" and given.docker_volume_configuration is not None and isolation == "namespaces":
        return _docker(given.name, given.docker_volume_configuration)
    if given.type == "host":
        path = (given.host or _NO_HOST).source_path
        if not path:
            return ScratchVolume(name=given.name)
        if isolation == "namespaces":
            return HostVolume(name=given.name, path=_absolute(path))
    raise Unfit(f"the volume {given.name} is of a kind ({given.type}) that this agent does not offer to such a task")


def _docker(name: str, given: acs.DockerVolume) -> DockerVolume:
    if given.driver not in (None, "", "local"):
        raise Unfit(f"the volume {name} needs the volume driver {given.driver}, which this agent does not have")
    shared = given.scope == "shared"
    if given.autoprovision and not shared:
        raise Unfit(f"the volume {name} of one task cannot be autoprovisioned")
    return DockerVolume(
        name=name,
        shared=shared,
        autoprovision=bool(given.autoprovision),
        options=tuple(sorted(given.driver_opts.items())),
    )


def _file_system(name: str, given: acs.EfsVolume) -> FileSystemVolume:
    granted = given.authorization_config
    if granted is not None and (granted.access_point_id or granted.iam == "ENABLED"):
        raise Unfit(f"the volume {name} asks for an access point or IAM, which this agent does not offer")
    if given.transit_encryption_port is not None:
        raise Unfit(f"the volume {name} asks for a transit encryption port, and nothing listens on one")
    return FileSystemVolume(
        name=name,
        file_system=given.file_system_id,
        root=given.root_directory or "/",
        encrypted=given.transit_encryption == "ENABLED",
    )


def with_container_settings(spec: ContainerSpec, task: acs.Task, index: int, isolation: Isolation) -> ContainerSpec:
    """The container with everything that surrounds it."""
    part = task.containers[index]
    given = part.docker_config or acs.DockerConfig()
    config, host = docker.decode_config(given.config), docker.decode_host_config(given.host_config)
    if host.devices and isolation != "namespaces":
        raise Unfit(f"container {part.name} asks for devices of the host, which an isolated task cannot have")
    spec = _with_volumes(spec, task, index)
    spec = _with_security(spec, part.name, host.security_opt or ())
    swap = None if host.memory_swap is None else host.memory_swap - (spec.memory_max_bytes or 0)
    if swap is not None and (swap < 0 or not spec.memory_max_bytes):
        raise Unfit(f"container {part.name} has a limit of memory and swap that is below that of its memory")
    return replace(
        spec,
        tmpfs=tuple(
            Tmpfs(target=_absolute(path), options=tuple(filter(None, options.split(","))))
            for path, options in (host.tmpfs or {}).items()
        ),
        shm_bytes=host.shm_size,
        devices=tuple(
            Device(source=each.path_on_host, target=each.path_in_container, permissions=each.cgroup_permissions)
            for each in host.devices or ()
        ),
        sysctls=tuple((host.sysctls or {}).items()),
        swap_max_bytes=swap,
        swappiness=host.memory_swappiness,
        open_stdin=bool(config.open_stdin),
        terminal=bool(config.tty),
        network_disabled=bool(config.network_disabled),
        dns_servers=host.dns or (),
        dns_search=host.dns_search or (),
        extra_hosts=tuple(_host_entry(each) for each in host.extra_hosts or ()),
        aliases=_aliases(part),
    )


def _with_volumes(spec: ContainerSpec, task: acs.Task, index: int) -> ContainerSpec:
    part = task.containers[index]
    places = {each.name: place for place, each in enumerate(task.containers)}
    known = {volume.name for volume in task.volumes}
    for point in part.mount_points:
        if point.source_volume not in known:
            raise Unfit(f"container {part.name} mounts the volume {point.source_volume}, which the task has not")
    for lender in part.volumes_from:
        if lender.source_container not in places:
            raise Unfit(f"container {part.name} has its volumes from {lender.source_container}, which is not there")
    return replace(
        spec,
        mount_points=tuple(
            MountPoint(
                volume=each.source_volume, target=_absolute(each.container_path), readonly=bool(each.read_only)
            )
            for each in part.mount_points
        ),
        volumes_from=tuple(
            VolumesFrom(
                container=ContainerId(f"{spec.sandbox}-{places[each.source_container]}"),
                readonly=bool(each.read_only),
            )
            for each in part.volumes_from
        ),
        lends_volumes=any(
            lender.source_container == part.name for other in task.containers for lender in other.volumes_from
        ),
    )


def _with_security(spec: ContainerSpec, name: str, options: tuple[str, ...]) -> ContainerSpec:
    for option in options:
        kind, _, value = option.replace("=", ":", 1).partition(":")
        if option in _NO_NEW_PRIVILEGES:
            spec = replace(spec, no_new_privileges=True)
        elif kind == "apparmor" and value:
            # "unconfined" is what a container has that names no profile.
            spec = replace(spec, apparmor_profile="" if value == "unconfined" else value)
        else:
            raise Unfit(f"container {name} has the security option {option}, which this agent does not offer")
    return spec


def _aliases(part: acs.Container) -> tuple[str, ...]:
    """All containers of a bridge task have one address: whatever the links call them leads there."""
    return tuple(
        dict.fromkeys(word for link in part.links for word in reversed(link.split(":")[:2]))  # the alias first
    )


def _host_entry(text: str) -> tuple[str, str]:
    name, _, address = text.partition(":")
    if address != "host-gateway":
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise Unfit(f"the extra host {text} has no address") from error
    return name, address


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise Unfit(f"the path {path} is not absolute")
    return path
