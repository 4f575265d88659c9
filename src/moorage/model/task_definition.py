"""Task definitions: what a family of tasks is made of. Names and shapes are those of the ECS API
(RegisterTaskDefinition), so a stored definition is answered as it was written, defaults filled in.

A field that is not here is not built yet and is refused at registration.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from moorage.base.ids import AccountId, Region, TaskDefinitionArn
from moorage.model.tags import Tags
from moorage.model.volumes import MountPoint, Volume, VolumeFrom

NetworkMode = Literal["awsvpc", "bridge", "host", "none"]
Compatibility = Literal["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"]
DefinitionStatus = Literal["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"]
Protocol = Literal["tcp", "udp"]
PidMode = Literal["host", "task"]
IpcMode = Literal["host", "task", "none"]
DevicePermission = Literal["read", "write", "mknod"]
AppProtocol = Literal["http", "http2", "grpc"]
Condition = Literal["START", "COMPLETE", "SUCCESS", "HEALTHY"]

DEFAULT_ATTEMPT_PERIOD_S: Final = 300  # of a restart policy that names none


class KeyValue(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str = ""


class PortMapping(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_port: int
    host_port: int | None = None  # None or 0 in bridge mode: any free port; else the container port
    protocol: Protocol = "tcp"
    name: str | None = None
    app_protocol: AppProtocol | None = None


class LogConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_driver: str
    options: dict[str, str] | None = None


class Ulimit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    soft_limit: int
    hard_limit: int


class KernelCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    add: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    host_path: str
    container_path: str | None = None  # absent: the same
    permissions: tuple[DevicePermission, ...] | None = None  # absent: all


class Tmpfs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_path: str
    size: int  # MiB
    mount_options: tuple[str, ...] | None = None


class LinuxParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    capabilities: KernelCapabilities | None = None
    devices: tuple[Device, ...] | None = None
    init_process_enabled: bool | None = None
    shared_memory_size: int | None = None  # MiB
    tmpfs: tuple[Tmpfs, ...] | None = None
    max_swap: int | None = None  # MiB
    swappiness: int | None = None  # ECS ignores it without max_swap


class SystemControl(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel parameter; checked not to be empty."""

    namespace: str = ""
    value: str = ""


class HostEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    hostname: str
    ip_address: str


class ResourceRequirement(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    value: str = ""


class ContainerDependency(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_name: str
    condition: Condition


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All in seconds but `retries`. The defaults are told as ECS tells them: as if they had been asked for."""

    command: tuple[str, ...]  # CMD, CMD-SHELL or NONE, and what follows
    interval: int | None = None
    timeout: int | None = None
    retries: int | None = None
    start_period: int | None = None

    @property
    def checks(self) -> bool:
        """Whether anybody will ever know that the container is healthy."""
        return self.command[0] != "NONE"


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    enabled: bool
    ignored_exit_codes: tuple[int, ...] | None = None
    restart_attempt_period: int | None = None  # seconds that a container must have run to be started again


class ContainerDefinition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One container of a task. Members with a default here are always answered; the rest only where set."""

    name: str
    image: str
    cpu: int = 0  # units; 1024 is one vCPU
    memory: int | None = None  # MiB, hard limit
    memory_reservation: int | None = None  # MiB, soft limit
    essential: bool = True
    port_mappings: tuple[PortMapping, ...] = ()
    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[KeyValue, ...] = ()
    mount_points: tuple[MountPoint, ...] = ()
    volumes_from: tuple[VolumeFrom, ...] = ()
    system_controls: tuple[SystemControl, ...] = ()
    depends_on: tuple[ContainerDependency, ...] | None = None
    start_timeout: int | None = None  # seconds
    stop_timeout: int | None = None  # seconds
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
    links: tuple[str, ...] | None = None  # "name" or "name:alias"
    dns_servers: tuple[str, ...] | None = None
    dns_search_domains: tuple[str, ...] | None = None
    extra_hosts: tuple[HostEntry, ...] | None = None
    resource_requirements: tuple[ResourceRequirement, ...] | None = None
    log_configuration: LogConfiguration | None = None


class PlacementConstraint(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    expression: str | None = None


class RuntimePlatform(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cpu_architecture: str | None = None
    operating_system_family: str | None = None


class EphemeralStorage(msgspec.Struct, frozen=True, kw_only=True):
    size_in_gib: int = msgspec.field(name="sizeInGiB")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a registration asks for, checked; `cpu` and `memory` are normalised to units and MiB."""

    family: str
    containers: tuple[ContainerDefinition, ...]
    network_mode: NetworkMode | None = None  # as given; None means bridge
    cpu: int | None = None
    memory: int | None = None
    task_role_arn: str | None = None
    execution_role_arn: str | None = None
    pid_mode: PidMode | None = None
    ipc_mode: IpcMode | None = None
    volumes: tuple[Volume, ...] = ()
    placement_constraints: tuple[PlacementConstraint, ...] = ()
    requires_compatibilities: tuple[Compatibility, ...] | None = None
    compatibilities: tuple[Compatibility, ...] = ()
    requires_attributes: tuple[str, ...] = ()  # attribute names
    runtime_platform: RuntimePlatform | None = None
    ephemeral_storage: EphemeralStorage | None = None

    @property
    def needs_gpus(self) -> bool:
        return any(container.resource_requirements for container in self.containers)

    @property
    def file_systems(self) -> tuple[str, ...]:
        """The ids of the shared file systems that its volumes lie in."""
        found = (volume.efs_volume_configuration for volume in self.volumes)
        return tuple(dict.fromkeys(each.file_system_id for each in found if each is not None))

    @property
    def windows(self) -> bool:
        family = self.runtime_platform and self.runtime_platform.operating_system_family
        return (family or "").startswith("WINDOWS")


class TaskDefinition(Definition, frozen=True, kw_only=True):
    """One revision of a family. Only `status`, its two times and `tags` ever change."""

    arn: TaskDefinitionArn
    account: AccountId
    region: Region
    revision: int
    status: DefinitionStatus = "ACTIVE"
    tags: Tags = ()
    registered_at: float
    registered_by: str
    deregistered_at: float | None = None
    delete_requested_at: float | None = None

    @property
    def family_revision(self) -> str:
        return f"{self.family}:{self.revision}"


class TaskFamily(msgspec.Struct, frozen=True, kw_only=True):
    """Remembers the last revision given out: revisions are never used again, even after deletion."""

    account: AccountId
    region: Region
    name: str
    last_revision: int
