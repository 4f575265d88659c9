"""From a request to task records: what all tasks of one call share, and the record of each.

The records are the whole of it: a task that is written is wanted. Its agent is told, and does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moorage.api.call import Call
from moorage.api.ecs.cluster_capacity import FARGATE, checked_strategy
from moorage.api.ecs.errors import ClientRefused, InvalidParameter, PlatformUnknown, UnsupportedFeature
from moorage.api.ecs.task_definition_lookup import find_task_definition
from moorage.api.ecs.task_network import Network, find_network
from moorage.api.ecs.task_requests import LaunchRequest, RunTaskRequest, task_tags
from moorage.base.dice import hex_id, uuid
from moorage.base.ids import Scope, TaskArn
from moorage.model.cluster import Cluster
from moorage.model.container_instance import Resources
from moorage.model.exec_session import EXEC_ATTRIBUTE
from moorage.model.network import NetworkInterface
from moorage.model.node import Node
from moorage.model.tags import Tags
from moorage.model.task import Container, LaunchType, Task, TaskNetwork
from moorage.model.task_definition import NetworkMode, TaskDefinition
from moorage.rules.overrides import effective, reserved
from moorage.rules.placement_filters import Attributes, Filter, Gpus, architecture, operating_system
from moorage.store import StateTx

PLATFORM_VERSION: Final = "1.4.0"  # of Fargate on Linux; what LATEST means
# An instance must take a task's interface inside the payload: agents that wait for it to be attached to the host
# by somebody else would wait for ever here.
ENI_ATTRIBUTES: Final = ("ecs.capability.task-eni", "moorage.capability.eni-in-payload")

# The published protocol does not tell of ephemeral storage; the agents that hear of it here say so.
STORAGE_ATTRIBUTE: Final = "moorage.capability.ephemeral-storage"
# A host has a place for a file system where its settings say so; each that it has is an attribute.
FILE_SYSTEM_ATTRIBUTE: Final = "moorage.file-system."


@dataclass(frozen=True)
class Kind:
    """What a call's tasks run on."""

    launch_type: LaunchType
    capacity_provider: str | None = None
    platform_version: str | None = None

    @property
    def fargate(self) -> bool:
        return self.launch_type == "FARGATE"


EC2: Final = Kind("EC2")


@dataclass(frozen=True)
class Launch:
    """Everything that the tasks of one call have in common."""

    request: LaunchRequest
    cluster: Cluster
    kind: Kind
    definition: TaskDefinition  # with the overrides laid over it
    mode: NetworkMode
    network: Network | None  # of awsvpc tasks
    group: str
    tags: Tags
    resources: Resources

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What a node must have besides room."""
        platform = self.definition.runtime_platform
        names = {
            *self.definition.requires_attributes,
            *(ENI_ATTRIBUTES if self.network else ()),
            *((EXEC_ATTRIBUTE,) if self.request.enable_execute_command else ()),
            *((STORAGE_ATTRIBUTE,) if self.definition.ephemeral_storage else ()),
            *(FILE_SYSTEM_ATTRIBUTE + name for name in self.definition.file_systems),
        }
        return (
            *((Gpus(),) if self.definition.needs_gpus else ()),
            *((Attributes(frozenset(names)),) if names else ()),
            *architecture(platform.cpu_architecture if platform else None),
            *operating_system(platform.operating_system_family if platform else None),
        )


def run_kind(cluster: Cluster, request: RunTaskRequest) -> Kind:
    """What RunTask's tasks run on: what the request says, else the cluster's default strategy, else EC2."""
    given = request.capacity_provider_strategy
    strategy = given or (() if request.launch_type else cluster.default_strategy)
    if given:
        names = [item.capacity_provider for item in given]
        if any(name == FARGATE and name not in cluster.capacity_providers for name in names):
            raise InvalidParameter(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
                "with the cluster. Associate the capacity provider with the cluster and try again."
            )
        checked_strategy(given, cluster.capacity_providers)
    if strategy:  # of providers that are not Fargate's there are none yet, so all its tasks go to the one
        return Kind("FARGATE", strategy[0].capacity_provider, _platform(request))
    launch_type = request.launch_type or "EC2"
    if launch_type == "FARGATE":
        return Kind("FARGATE", platform_version=_platform(request))
    if launch_type in ("EXTERNAL", "MANAGED_INSTANCES"):
        raise UnsupportedFeature(f"The launch type {launch_type} is not supported by Moorage yet.")
    if launch_type != "EC2":
        raise InvalidParameter(f"The launch type '{launch_type}' is not valid; use EC2 or FARGATE.")
    if request.platform_version is not None:
        raise InvalidParameter("The platform version must be null when specifying an EC2 launch type.")
    return EC2


def _platform(request: RunTaskRequest) -> str:
    if request.placement_strategy or request.placement_constraints:
        raise InvalidParameter("Placement strategies and constraints are not supported with the FARGATE launch type.")
    if request.platform_version not in (None, "LATEST", PLATFORM_VERSION):
        raise PlatformUnknown(
            f"The platform version '{request.platform_version}' does not exist; use LATEST or {PLATFORM_VERSION}."
        )
    return PLATFORM_VERSION


def prepare(tx: StateTx, scope: Scope, cluster: Cluster, kind: Kind, request: LaunchRequest) -> Launch:
    """What the tasks of a call share, checked; refused where they could never be."""
    registered = _definition(tx, scope, request.task_definition)
    if kind.launch_type not in registered.compatibilities:
        raise InvalidParameter(f"Task definition does not support launch_type {kind.launch_type}.")
    definition = effective(registered, request.overrides, fargate=kind.fargate)
    if definition.task_role_arn:
        raise UnsupportedFeature("taskRoleArn is not supported by Moorage yet: tasks are given no credentials.")
    mode = definition.network_mode or "bridge"
    return Launch(
        request=request,
        cluster=cluster,
        kind=kind,
        definition=definition,
        mode=mode,
        network=find_network(tx, scope, mode, request.network_configuration, fargate=kind.fargate),
        group=request.group or f"family:{definition.family}",
        tags=task_tags(request, cluster, registered),
        resources=reserved(definition, mode),
    )


def _definition(tx: StateTx, scope: Scope, name: str) -> TaskDefinition:
    if not name:
        raise ClientRefused("Task Definition can not be blank.")
    definition = find_task_definition(tx, scope, name)
    if definition is None:
        raise ClientRefused("TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise InvalidParameter("TaskDefinition is inactive")
    return definition


def new_task(call: Call, launch: Launch, node: Node, zone: str, interface: NetworkInterface | None) -> Task:
    """The record of one task on the node that was chosen for it."""
    definition, request = launch.definition, launch.request
    task_id = hex_id(call.dice)
    return Task(
        arn=TaskArn(call.scope.arn("ecs", f"task/{launch.cluster.name}/{task_id}")),
        id=task_id,
        account=call.scope.account,
        region=call.scope.region,
        cluster=launch.cluster.arn,
        task_definition=definition.arn,
        family=definition.family,
        launch_type=launch.kind.launch_type,
        capacity_provider=launch.kind.capacity_provider,
        instance=node.arn,
        group=launch.group,
        started_by=request.started_by,
        availability_zone=interface.availability_zone if interface else zone,
        network_mode=launch.mode,
        cpu=definition.cpu,
        memory=definition.memory,
        reserved=launch.resources,
        overrides=request.overrides,
        interface=interface.id if interface else None,
        attachment_id=interface.attachment_id if interface else None,
        network=_network(interface) if interface else None,
        enable_execute_command=request.enable_execute_command,
        platform_version=launch.kind.platform_version,
        ephemeral_storage_gib=definition.ephemeral_storage.size_in_gib if definition.ephemeral_storage else None,
        tags=launch.tags,
        last_status="PROVISIONING" if interface else "PENDING",
        containers=_containers(call, launch, task_id),
        created_at=call.now_s,
    )


def _network(interface: NetworkInterface) -> TaskNetwork:
    return TaskNetwork(
        subnet=interface.subnet,
        address=interface.address,
        mac=interface.mac,
        private_dns_name=interface.private_dns_name,
    )


def _containers(call: Call, launch: Launch, task_id: str) -> tuple[Container, ...]:
    prefix = f"container/{launch.cluster.name}/{task_id}/"
    return tuple(
        Container(
            name=part.name,
            arn=call.scope.arn("ecs", prefix + uuid(call.dice)),
            image=part.image,
            cpu=part.cpu,
            memory=part.memory,
            memory_reservation=part.memory_reservation,
            essential=part.essential,
        )
        for part in launch.definition.containers
    )
