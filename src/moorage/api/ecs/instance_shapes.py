"""Container instances as requests bring them and answers show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.api.ecs.errors import InvalidParameter
from moorage.model.container_instance import ContainerInstance, Resources
from moorage.model.tags import Tag
from moorage.store import State, StateTx

# ECS reserves at most 100 host ports on an instance; RegisterContainerInstance, Developer Guide.
RESERVED_PORTS_MAX: Final = 100


class ResourceShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An amount: `type` says which of the values counts. Answers carry all the numbers, as ECS's do."""

    name: str
    type: str
    double_value: float = 0.0
    long_value: int = 0
    integer_value: int = 0
    string_set_value: tuple[str, ...] | None = None


class AttributeShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    value: str | None = None
    target_type: str | None = None
    target_id: str | None = None


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    agent_version: str | None = None
    agent_hash: str | None = None
    docker_version: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    overall_status: str
    details: tuple[()] = ()


class ContainerInstanceShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instance_arn: str
    ec2_instance_id: str | None = msgspec.field(name="ec2InstanceId", default=None)
    version: int
    version_info: VersionInfo
    remaining_resources: tuple[ResourceShape, ...]
    registered_resources: tuple[ResourceShape, ...]
    status: str
    status_reason: str | None = None
    agent_connected: bool
    running_tasks_count: int
    pending_tasks_count: int
    attributes: tuple[AttributeShape, ...]
    registered_at: float
    attachments: tuple[()] = ()
    tags: tuple[Tag, ...] = ()
    health_status: Health | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    arn: str
    reason: str


def shown(
    state: State | StateTx, instance: ContainerInstance, *, tags: bool = False, health: bool = False
) -> ContainerInstanceShape:
    """The instance as an answer shows it; `tags` and `health` only where they were asked for."""
    used = state.usage.of(instance.arn)
    whole = instance.registered
    left = Resources(
        cpu=whole.cpu - used.cpu,
        memory=whole.memory - used.memory,
        ports_tcp=whole.ports_tcp + used.ports_tcp,
        ports_udp=whole.ports_udp + used.ports_udp,
    )
    statuses = [task.last_status for task in state.tasks.by("instance", instance.arn)]
    return ContainerInstanceShape(
        container_instance_arn=instance.arn,
        ec2_instance_id=instance.ec2_instance_id,
        version=instance.version,
        version_info=VersionInfo(
            agent_version=instance.agent_version,
            agent_hash=instance.agent_hash,
            docker_version=instance.docker_version,
        ),
        remaining_resources=resources_shown(left),
        registered_resources=resources_shown(whole),
        status=instance.status,
        status_reason=instance.status_reason,
        agent_connected=instance.agent_connected,
        running_tasks_count=statuses.count("RUNNING"),
        pending_tasks_count=sum(status in ("PROVISIONING", "PENDING", "ACTIVATING") for status in statuses),
        attributes=tuple(AttributeShape(name=one.name, value=one.value) for one in instance.attributes),
        registered_at=instance.registered_at,
        tags=instance.tags if tags else (),
        # No health reports are kept yet, and this is the word for that.
        health_status=Health(overall_status="INSUFFICIENT_DATA") if health else None,
    )


def resources_shown(amount: Resources) -> tuple[ResourceShape, ...]:
    """In the order in which ECS shows them; ports are those that are taken."""
    return (
        ResourceShape(name="CPU", type="INTEGER", integer_value=amount.cpu),
        ResourceShape(name="MEMORY", type="INTEGER", integer_value=amount.memory),
        ResourceShape(name="PORTS", type="STRINGSET", string_set_value=_texts(amount.ports_tcp)),
        ResourceShape(name="PORTS_UDP", type="STRINGSET", string_set_value=_texts(amount.ports_udp)),
    )


def resources_asked(shapes: Sequence[ResourceShape]) -> Resources:
    """What a host brings; refused with InvalidParameterException where it cannot be understood."""
    by_name = {shape.name: shape for shape in shapes}
    if len(by_name) != len(shapes):
        raise InvalidParameter("totalResources names a resource twice.")
    unknown = by_name.keys() - {"CPU", "MEMORY", "PORTS", "PORTS_UDP"}
    if unknown:
        raise InvalidParameter(f"Resources of this kind are not supported: {', '.join(sorted(unknown))}.")
    return Resources(
        cpu=_number(by_name.get("CPU"), "CPU"),
        memory=_number(by_name.get("MEMORY"), "MEMORY"),
        ports_tcp=_ports(by_name.get("PORTS")),
        ports_udp=_ports(by_name.get("PORTS_UDP")),
    )


def _number(shape: ResourceShape | None, name: str) -> int:
    if shape is None:
        raise InvalidParameter(f"totalResources lacks {name}.")
    values = {"INTEGER": shape.integer_value, "LONG": shape.long_value, "DOUBLE": int(shape.double_value)}
    value = values.get(shape.type, 0)
    if value < 1:
        raise InvalidParameter(f"The amount of {name} must be a positive number.")
    return value


def _ports(shape: ResourceShape | None) -> tuple[int, ...]:
    texts = () if shape is None else shape.string_set_value or ()
    ports = tuple(dict.fromkeys(int(text) for text in texts if text.isdecimal() and len(text) <= 5))
    if len(ports) != len(set(texts)) or any(port > 65_535 for port in ports):
        raise InvalidParameter("The ports of an instance must be numbers from 0 to 65535.")
    if len(ports) > RESERVED_PORTS_MAX:
        raise InvalidParameter(f"An instance can reserve at most {RESERVED_PORTS_MAX} ports.")
    return ports


def _texts(ports: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(port) for port in sorted(ports))
