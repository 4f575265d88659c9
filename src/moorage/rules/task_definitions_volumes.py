"""Volumes of a task definition, and where its containers have them.

Source: ECS API, data types Volume, MountPoint, VolumeFrom; Developer Guide, "Storage options for tasks".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from moorage.model.task_definition import ContainerDefinition, Definition
from moorage.model.volumes import DockerVolume, FileSystemVolume, Volume
from moorage.rules.task_definitions_draft import InvalidDefinition
from moorage.rules.task_definitions_ports import repeated

PATH_MAX_CHARS: Final = 4095  # PATH_MAX of Linux, less its final zero
ROOT_DIRECTORY_MAX_CHARS: Final = 100  # of EFS
# What Docker's `local` driver knows besides a quota, which takes a file system of its own kind.
DRIVER_OPTIONS: Final = frozenset(("type", "device", "o"))

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_FILE_SYSTEM = re.compile(r"fs-[0-9a-f]{8,40}")


def check_volumes(volumes: Sequence[Volume]) -> None:
    """Each volume by itself, and their names together."""
    for volume in volumes:
        if not _NAME.fullmatch(volume.name):
            raise InvalidDefinition(
                f"Invalid volume name '{volume.name}'. "
                "Up to 255 letters, digits, underscores and hyphens are allowed."
            )
        _check_kind(volume)
    twice = repeated(volume.name for volume in volumes)
    if twice is not None:
        raise InvalidDefinition(f"The volume name '{twice}' is used more than once in the task definition.")


def _check_kind(volume: Volume) -> None:
    path = volume.host.source_path if volume.host else None
    docker, file_system = volume.docker_volume_configuration, volume.efs_volume_configuration
    if sum((bool(path), docker is not None, file_system is not None)) > 1:
        raise _fault(volume, "Only one of host, dockerVolumeConfiguration and efsVolumeConfiguration can be given.")
    if path and not is_path(path):
        raise _fault(volume, "The host's sourcePath must be an absolute path.")
    if docker is not None:
        _check_docker(volume, docker)
    if file_system is not None:
        _check_file_system(volume, file_system)


def _check_docker(volume: Volume, docker: DockerVolume) -> None:
    if docker.autoprovision and docker.scope == "task":
        raise _fault(volume, "'autoprovision' can be set only where the scope is shared.")
    if docker.driver not in (None, "", "local"):
        return  # the hosts that have the driver know its options
    options = docker.driver_opts or {}
    unknown = sorted(options.keys() - DRIVER_OPTIONS)
    if unknown:
        raise _fault(volume, f"The driver local does not take the option {unknown[0]}; it takes type, device and o.")
    if options and not options.get("device"):
        raise _fault(volume, "The driver local needs the option device where it is given any.")


def _check_file_system(volume: Volume, given: FileSystemVolume) -> None:
    if not _FILE_SYSTEM.fullmatch(given.file_system_id):
        raise _fault(volume, f"'{given.file_system_id}' is no file system id.")
    root = given.root_directory
    if root and (not is_path(root) or len(root) > ROOT_DIRECTORY_MAX_CHARS):
        raise _fault(
            volume, f"The rootDirectory must be an absolute path of at most {ROOT_DIRECTORY_MAX_CHARS} characters."
        )
    if given.authorization_config and given.authorization_config.iam == "ENABLED":
        raise _fault(volume, "IAM authorization of file systems is not supported by Moorage yet.")


def _fault(volume: Volume, why: str) -> InvalidDefinition:
    return InvalidDefinition(f"Invalid setting for volume '{volume.name}'. {why}")


def is_path(path: str) -> bool:
    """Whether a path is absolute, and short enough for the kernel."""
    return path.startswith("/") and len(path) <= PATH_MAX_CHARS


def check_mounts(definition: Definition) -> None:
    """What every container mounts is a volume of the task, and stands at a place of its own."""
    volumes = {volume.name for volume in definition.volumes}
    containers = {container.name for container in definition.containers}
    for container in definition.containers:
        _check_points(container, volumes)
        for lender in container.volumes_from:
            if lender.source_container not in containers or lender.source_container == container.name:
                raise InvalidDefinition.of(
                    container.name,
                    f"'volumesFrom' must name another container of the task, not '{lender.source_container}'.",
                )


def _check_points(container: ContainerDefinition, volumes: set[str]) -> None:
    for point in container.mount_points:
        if point.source_volume not in volumes:
            raise InvalidDefinition(f"Unknown volume '{point.source_volume}'.")
        if not is_path(point.container_path) or not point.container_path.strip("/"):
            raise InvalidDefinition.of(
                container.name, f"The containerPath '{point.container_path}' must be an absolute path below /."
            )
    linux = container.linux_parameters
    places = [point.container_path for point in container.mount_points]
    places += [each.container_path for each in linux.tmpfs or ()] if linux else []
    twice = repeated(place.rstrip("/") for place in places)
    if twice is not None:
        raise InvalidDefinition.of(container.name, f"More than one volume is mounted at {twice}.")
