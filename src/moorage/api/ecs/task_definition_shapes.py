"""A task definition as callers see it. Source: ECS API, data type TaskDefinition."""

from __future__ import annotations

import msgspec

from moorage.model.task_definition import (
    ContainerDefinition,
    EphemeralStorage,
    PlacementConstraint,
    RuntimePlatform,
    TaskDefinition,
)
from moorage.model.volumes import Volume


class RequiredAttribute(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class TaskDefinitionShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definition_arn: str
    family: str
    revision: int
    status: str
    container_definitions: tuple[ContainerDefinition, ...]
    volumes: tuple[Volume, ...]
    pid_mode: str | None
    ipc_mode: str | None
    placement_constraints: tuple[PlacementConstraint, ...]
    requires_attributes: tuple[RequiredAttribute, ...]
    compatibilities: tuple[str, ...]
    requires_compatibilities: tuple[str, ...] | None
    network_mode: str | None
    cpu: str | None
    memory: str | None
    task_role_arn: str | None
    execution_role_arn: str | None
    runtime_platform: RuntimePlatform | None
    ephemeral_storage: EphemeralStorage | None
    registered_at: float
    registered_by: str
    deregistered_at: float | None
    delete_requested_at: float | None


def task_definition_shape(definition: TaskDefinition) -> TaskDefinitionShape:
    """Sizes are told as decimal strings of units and MiB, whatever form they were given in."""
    return TaskDefinitionShape(
        task_definition_arn=definition.arn,
        family=definition.family,
        revision=definition.revision,
        status=definition.status,
        container_definitions=definition.containers,
        volumes=definition.volumes,
        pid_mode=definition.pid_mode,
        ipc_mode=definition.ipc_mode,
        placement_constraints=definition.placement_constraints,
        requires_attributes=tuple(RequiredAttribute(name=name) for name in definition.requires_attributes),
        compatibilities=definition.compatibilities,
        requires_compatibilities=definition.requires_compatibilities,
        network_mode=definition.network_mode,
        cpu=None if definition.cpu is None else str(definition.cpu),
        memory=None if definition.memory is None else str(definition.memory),
        task_role_arn=definition.task_role_arn,
        execution_role_arn=definition.execution_role_arn,
        runtime_platform=definition.runtime_platform,
        ephemeral_storage=definition.ephemeral_storage,
        registered_at=definition.registered_at,
        registered_by=definition.registered_by,
        deregistered_at=definition.deregistered_at,
        delete_requested_at=definition.delete_requested_at,
    )
