"""What a caller of RegisterTaskDefinition hands in, before anything about it is known to be right.

Every member is optional here, so that what is missing gets ECS's own sentence. The names are the wire's. Members
that ECS has and these structs have not are not built yet; the router refuses them by name.
"""

from __future__ import annotations

import msgspec

from moorage.base.errors import Refused
from moorage.model.task_definition import (
    EphemeralStorage,
    HealthCheck,
    HostEntry,
    LinuxParameters,
    LogConfiguration,
    ResourceRequirement,
    RestartPolicy,
    RuntimePlatform,
    SystemControl,
    Ulimit,
)
from moorage.model.volumes import MountPoint, Volume, VolumeFrom


class InvalidDefinition(Refused):
    """The definition cannot be registered; the message says what about it."""

    code = "ClientException"

    @classmethod
    def of(cls, container: str, why: str) -> InvalidDefinition:
        """The refusal of one container's setting."""
        return cls(f"Invalid setting for container '{container}'. {why}")


class KeyValueDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str | None = None
    value: str | None = None


class PortMappingDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    container_port: int | None = None
    host_port: int | None = None
    protocol: str | None = None
    name: str | None = None
    app_protocol: str | None = None


class DependencyDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    container_name: str | None = None
    condition: str | None = None


class ContainerDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: str | None = None
    image: str | None = None
    cpu: int | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    essential: bool | None = None
    port_mappings: tuple[PortMappingDraft, ...] | None = None
    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[KeyValueDraft, ...] | None = None
    mount_points: tuple[MountPoint, ...] | None = None
    volumes_from: tuple[VolumeFrom, ...] | None = None
    system_controls: tuple[SystemControl, ...] | None = None
    depends_on: tuple[DependencyDraft, ...] | None = None
    start_timeout: int | None = None
    stop_timeout: int | None = None
    health_check: HealthCheck | None = None
    restart_policy: RestartPolicy | None = None
    hostname: str | None = None
    user: str | None = None
    working_directory: str | None = None
    privileged: bool | None = None
    readonly_root_filesystem: bool | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    linux_parameters: LinuxParameters | None = None
    docker_labels: dict[str, str] | None = None
    docker_security_options: tuple[str, ...] | None = None
    interactive: bool | None = None
    pseudo_terminal: bool | None = None
    disable_networking: bool | None = None
    links: tuple[str, ...] | None = None
    dns_servers: tuple[str, ...] | None = None
    dns_search_domains: tuple[str, ...] | None = None
    extra_hosts: tuple[HostEntry, ...] | None = None
    resource_requirements: tuple[ResourceRequirement, ...] | None = None
    log_configuration: LogConfiguration | None = None


class ConstraintDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    type: str | None = None
    expression: str | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    family: str
    container_definitions: tuple[ContainerDraft, ...]
    network_mode: str | None = None
    cpu: str | None = None
    memory: str | None = None
    task_role_arn: str | None = None
    execution_role_arn: str | None = None
    pid_mode: str | None = None
    ipc_mode: str | None = None
    volumes: tuple[Volume, ...] | None = None
    placement_constraints: tuple[ConstraintDraft, ...] | None = None
    requires_compatibilities: tuple[str, ...] | None = None
    runtime_platform: RuntimePlatform | None = None
    ephemeral_storage: EphemeralStorage | None = None
