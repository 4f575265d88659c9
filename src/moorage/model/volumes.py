"""The volumes of a task definition, and where its containers have them. Names and shapes are those of the ECS API."""

from __future__ import annotations

from typing import Literal

import msgspec

Scope = Literal["task", "shared"]
Switch = Literal["ENABLED", "DISABLED"]


class HostVolume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    source_path: str | None = None  # absent: an empty directory that goes with the task


class DockerVolume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    scope: Scope = "task"
    autoprovision: bool | None = None
    driver: str | None = None
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class FileSystemAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    iam: Switch | None = None


class FileSystemVolume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """efsVolumeConfiguration."""

    file_system_id: str
    root_directory: str | None = None
    transit_encryption: Switch | None = None
    authorization_config: FileSystemAuthorization | None = None


class Volume(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: str = ""  # checked to be one, as everything here that may look empty
    host: HostVolume | None = None
    docker_volume_configuration: DockerVolume | None = None
    efs_volume_configuration: FileSystemVolume | None = None


class MountPoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    source_volume: str = ""
    container_path: str = ""
    read_only: bool | None = None


class VolumeFrom(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    source_container: str = ""
    read_only: bool | None = None
