"""Tasks as callers are told of them. Source: ECS API, data types Task, Container and Attachment.

These are on the hottest path that polling clients have, so they are built straight: members with a default are left
out of the answer where they have it, lists that ECS always tells have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.base.ids import ContainerInstanceArn
from moorage.model.exec_session import EXEC_AGENT
from moorage.model.tags import Tag
from moorage.model.task import Container, ContainerOverride, HealthStatus, NetworkBinding, Task
from moorage.model.task_definition import EphemeralStorage, KeyValue
from moorage.rules.health import task_health
from moorage.store import State, StateTx

ARCHITECTURE: Final = "ecs.cpu-architecture"


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A structure of the API."""


class NameValue(Shape, frozen=True, kw_only=True):
    name: str
    value: str


class Attachment(Shape, frozen=True, kw_only=True):
    id: str
    type: str
    status: str
    details: tuple[NameValue, ...]


class InterfaceOfContainer(Shape, frozen=True, kw_only=True):
    attachment_id: str
    private_ipv4_address: str


class ManagedAgent(Shape, frozen=True, kw_only=True):
    """Here the node itself runs commands, so the agent is there exactly as long as its container runs."""

    name: str
    last_status: str
    last_started_at: float | None = None


class ContainerShape(Shape, frozen=True, kw_only=True):
    container_arn: str
    task_arn: str
    name: str
    image: str
    image_digest: str | None = None
    runtime_id: str | None = None
    last_status: str
    exit_code: int | None = None
    reason: str | None = None
    network_bindings: tuple[NetworkBinding, ...]
    network_interfaces: tuple[InterfaceOfContainer, ...]
    managed_agents: tuple[ManagedAgent, ...] = ()
    health_status: HealthStatus
    cpu: str
    memory: str | None = None
    memory_reservation: str | None = None


class ContainerOverrideShape(Shape, frozen=True, kw_only=True):
    name: str
    command: tuple[str, ...] | None = None
    environment: tuple[KeyValue, ...] | None = None
    cpu: int | None = None
    memory: int | None = None
    memory_reservation: int | None = None


class OverrideShape(Shape, frozen=True, kw_only=True):
    container_overrides: tuple[ContainerOverrideShape, ...]
    inference_accelerator_overrides: tuple[()]
    cpu: str | None = None
    memory: str | None = None
    execution_role_arn: str | None = None


class TaskShape(Shape, frozen=True, kw_only=True):
    attachments: tuple[Attachment, ...]
    attributes: tuple[NameValue, ...]
    availability_zone: str = ""
    capacity_provider_name: str | None = None
    cluster_arn: str
    connectivity: str | None = None
    connectivity_at: float | None = None
    container_instance_arn: str | None = None
    containers: tuple[ContainerShape, ...]
    cpu: str
    created_at: float
    desired_status: str
    enable_execute_command: bool
    execution_stopped_at: float | None = None
    group: str
    health_status: HealthStatus
    inference_accelerators: tuple[()]
    last_status: str
    launch_type: str
    memory: str
    overrides: OverrideShape
    platform_family: str | None = None
    platform_version: str | None = None
    ephemeral_storage: EphemeralStorage | None = None
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    started_by: str | None = None
    stop_code: str | None = None
    stopped_at: float | None = None
    stopped_reason: str | None = None
    stopping_at: float | None = None
    tags: tuple[Tag, ...]
    task_arn: str
    task_definition_arn: str
    version: int


class Failure(Shape, frozen=True, kw_only=True):
    """Why one of several things that were asked for was not done."""

    arn: str | None = None
    reason: str
    detail: str | None = None


class TasksAnswer(Shape, frozen=True, kw_only=True):
    tasks: tuple[TaskShape, ...]
    failures: tuple[Failure, ...]


class TaskAnswer(Shape, frozen=True, kw_only=True):
    task: TaskShape


def task_shapes(state: State | StateTx, tasks: Sequence[Task], *, tags: bool) -> tuple[TaskShape, ...]:
    """The shapes of tasks, with their tags or without."""
    attributes: dict[ContainerInstanceArn, tuple[NameValue, ...]] = {}
    for task in tasks:
        if task.instance not in attributes:
            attributes[task.instance] = _attributes(state, task.instance)
    return tuple(_task(task, attributes[task.instance], task.tags if tags else ()) for task in tasks)


def task_shape(state: State | StateTx, task: Task, *, tags: bool) -> TaskShape:
    """The shape of one task."""
    return task_shapes(state, (task,), tags=tags)[0]


def _attributes(state: State | StateTx, instance: ContainerInstanceArn) -> tuple[NameValue, ...]:
    host = state.container_instances.get(instance)
    architecture = host.attribute(ARCHITECTURE) if host is not None else None
    return (NameValue(name=ARCHITECTURE, value=architecture),) if architecture else ()


def _task(task: Task, attributes: tuple[NameValue, ...], tags: tuple[Tag, ...]) -> TaskShape:
    fargate = task.launch_type == "FARGATE"
    heard = task.connectivity_at is not None
    return TaskShape(
        attachments=_attachments(task),
        attributes=attributes,
        availability_zone=task.availability_zone,
        capacity_provider_name=task.capacity_provider,
        cluster_arn=task.cluster,
        connectivity=("CONNECTED" if task.connected else "DISCONNECTED") if heard else None,
        connectivity_at=task.connectivity_at,
        container_instance_arn=None if fargate else task.instance,
        containers=_containers(task),
        cpu=str(task.reserved.cpu),
        created_at=task.created_at,
        desired_status=task.desired_status,
        enable_execute_command=task.enable_execute_command,
        execution_stopped_at=task.execution_stopped_at,
        group=task.group,
        health_status=task_health(task.containers),
        inference_accelerators=(),
        last_status=task.last_status,
        launch_type=task.launch_type,
        memory=str(task.reserved.memory),
        overrides=_overrides(task),
        platform_family="Linux" if fargate else None,  # the agents run on nothing else
        platform_version=task.platform_version,
        ephemeral_storage=(
            None if task.ephemeral_storage_gib is None else EphemeralStorage(size_in_gib=task.ephemeral_storage_gib)
        ),
        pull_started_at=task.pull_started_at,
        pull_stopped_at=task.pull_stopped_at,
        started_at=task.started_at,
        started_by=task.started_by,
        stop_code=task.stop_code,
        stopped_at=task.stopped_at,
        stopped_reason=task.stopped_reason,
        stopping_at=task.stopping_at,
        tags=tags,
        task_arn=task.arn,
        task_definition_arn=task.task_definition,
        version=task.version,
    )


def _containers(task: Task) -> tuple[ContainerShape, ...]:
    interfaces: tuple[InterfaceOfContainer, ...] = ()
    if task.network is not None and task.attachment_id is not None:
        interfaces = (
            InterfaceOfContainer(attachment_id=task.attachment_id, private_ipv4_address=task.network.address),
        )
    return tuple(_container(task, one, interfaces) for one in task.containers)


def _container(task: Task, one: Container, interfaces: tuple[InterfaceOfContainer, ...]) -> ContainerShape:
    return ContainerShape(
        container_arn=one.arn,
        task_arn=task.arn,
        name=one.name,
        image=one.image,
        image_digest=one.image_digest,
        runtime_id=one.runtime_id,
        last_status=one.last_status,
        exit_code=one.exit_code,
        reason=one.reason,
        network_bindings=one.network_bindings,
        network_interfaces=interfaces,
        managed_agents=_managed_agents(task, one),
        health_status=one.health_status,
        cpu=str(one.cpu),
        memory=None if one.memory is None else str(one.memory),
        memory_reservation=None if one.memory_reservation is None else str(one.memory_reservation),
    )


def _managed_agents(task: Task, one: Container) -> tuple[ManagedAgent, ...]:
    if not task.enable_execute_command:
        return ()
    started_at = None if one.last_status == "PENDING" else task.started_at
    return (ManagedAgent(name=EXEC_AGENT, last_status=one.last_status, last_started_at=started_at),)


_ATTACHMENT_STATUS: Final = {"PROVISIONING": "PRECREATED", "DEPROVISIONING": "DETACHING", "STOPPED": "DELETED"}


def _attachments(task: Task) -> tuple[Attachment, ...]:
    network = task.network
    if network is None or task.attachment_id is None or task.interface is None:
        return ()
    details = (
        NameValue(name="subnetId", value=network.subnet),
        NameValue(name="networkInterfaceId", value=task.interface),
        NameValue(name="macAddress", value=network.mac),
        NameValue(name="privateDnsName", value=network.private_dns_name),
        NameValue(name="privateIPv4Address", value=network.address),
    )
    status = _ATTACHMENT_STATUS.get(task.last_status, "ATTACHED")
    return (Attachment(id=task.attachment_id, type="ElasticNetworkInterface", status=status, details=details),)


def _overrides(task: Task) -> OverrideShape:
    given = task.overrides
    by_name = {one.name: one for one in given.container_overrides}
    return OverrideShape(
        container_overrides=tuple(_container_override(one.name, by_name.get(one.name)) for one in task.containers),
        inference_accelerator_overrides=(),
        cpu=given.cpu,
        memory=given.memory,
        execution_role_arn=given.execution_role_arn,
    )


def _container_override(name: str, given: ContainerOverride | None) -> ContainerOverrideShape:
    if given is None:
        return ContainerOverrideShape(name=name)
    return ContainerOverrideShape(
        name=name,
        command=given.command,
        environment=given.environment,
        cpu=given.cpu,
        memory=given.memory,
        memory_reservation=given.memory_reservation,
    )
