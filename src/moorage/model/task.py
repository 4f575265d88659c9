"""Tasks and their containers: what runs. Source: ECS API, data types Task and Container.

One writer per field: `desired_status`, `stop_code` and `stopped_reason` are written where somebody decides
to stop (StopTask, a control loop, an essential container's end); the statuses and the containers'
fields only by what the agent reports.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import (
    AccountId,
    ClusterArn,
    ContainerInstanceArn,
    NetworkInterfaceId,
    Region,
    SubnetId,
    TaskArn,
    TaskDefinitionArn,
)
from moorage.model.container_instance import Resources
from moorage.model.tags import Tags
from moorage.model.task_definition import KeyValue, NetworkMode

TaskStatus = Literal[
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
]
ContainerStatus = Literal["PENDING", "RUNNING", "STOPPED"]
DesiredStatus = Literal["RUNNING", "STOPPED"]
HealthStatus = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]
LaunchType = Literal["EC2", "FARGATE", "EXTERNAL"]
StopCode = Literal[
    "TaskFailedToStart",
    "EssentialContainerExited",
    "UserInitiated",
    "ServiceSchedulerInitiated",
    "SpotInterruption",
    "TerminationNotice",
    "InfrastructureHealth",
]

# Forward only; a task may skip states, and it may end from any of them.
TASK_ORDER: tuple[TaskStatus, ...] = (
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
)
_RANK = {status: rank for rank, status in enumerate(TASK_ORDER)}
_CONTAINER_RANK = {"PENDING": 0, "RUNNING": 1, "STOPPED": 2}


def advances(old: TaskStatus, new: TaskStatus) -> bool:
    """Whether `new` lies after `old` in a task's life."""
    return _RANK[new] > _RANK[old]


def container_advances(old: ContainerStatus, new: ContainerStatus) -> bool:
    """Whether `new` lies after `old` in a container's life."""
    return _CONTAINER_RANK[new] > _CONTAINER_RANK[old]


class NetworkBinding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    bind_ip: str = msgspec.field(name="bindIP", default="0.0.0.0")
    container_port: int
    host_port: int
    protocol: Literal["tcp", "udp"] = "tcp"


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container of a task, as last reported."""

    name: str
    arn: str
    image: str
    cpu: int = 0
    memory: int | None = None
    memory_reservation: int | None = None
    essential: bool = True
    last_status: ContainerStatus = "PENDING"
    health_status: HealthStatus = "UNKNOWN"
    exit_code: int | None = None
    reason: str | None = None
    runtime_id: str | None = None
    image_digest: str | None = None
    network_bindings: tuple[NetworkBinding, ...] = ()


class ContainerOverride(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    command: tuple[str, ...] | None = None
    environment: tuple[KeyValue, ...] | None = None
    cpu: int | None = None
    memory: int | None = None
    memory_reservation: int | None = None


class TaskOverride(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_overrides: tuple[ContainerOverride, ...] = ()
    cpu: str | None = None
    memory: str | None = None
    execution_role_arn: str | None = None


class TaskNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """What a task's interface was given. The interface goes when the task stops; this stays for who asks later."""

    subnet: SubnetId
    address: str
    mac: str
    private_dns_name: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`reserved` is what placement took of `instance` and gives back when the task is STOPPED.

    `instance` is set for Fargate too: the fleet's host that runs it; callers are never told.
    """

    arn: TaskArn
    id: str
    account: AccountId
    region: Region
    cluster: ClusterArn
    task_definition: TaskDefinitionArn
    family: str
    launch_type: LaunchType
    capacity_provider: str | None = None
    instance: ContainerInstanceArn
    group: str
    started_by: str | None = None
    availability_zone: str
    network_mode: NetworkMode
    cpu: int | None = None  # task-level, units
    memory: int | None = None  # task-level, MiB
    reserved: Resources
    overrides: TaskOverride = TaskOverride()
    interface: NetworkInterfaceId | None = None
    attachment_id: str | None = None
    network: TaskNetwork | None = None
    platform_version: str | None = None
    ephemeral_storage_gib: int | None = None  # where the definition asks for it
    enable_execute_command: bool = False
    tags: Tags = ()

    desired_status: DesiredStatus = "RUNNING"
    last_status: TaskStatus
    containers: tuple[Container, ...]
    stop_code: StopCode | None = None
    stopped_reason: str | None = None
    connected: bool = True
    connectivity_at: float | None = None
    created_at: float
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    version: int = 1

    @property
    def stopped(self) -> bool:
        return self.last_status == "STOPPED"


class ClientToken(msgspec.Struct, frozen=True, kw_only=True):
    """What an idempotency token was used for: the same again is answered with the same tasks."""

    token: str
    operation: str
    account: AccountId
    region: Region
    cluster: ClusterArn
    fingerprint: str  # of the whole request
    tasks: tuple[TaskArn, ...]
    created_at: float
