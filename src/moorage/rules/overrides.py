"""RunTask's overrides laid over a task definition, and what the result takes of its host.

Source: ECS API, data types TaskOverride and ContainerOverride.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from moorage.base.errors import Refused
from moorage.model.container_instance import Resources
from moorage.model.task import ContainerOverride, TaskOverride
from moorage.model.task_definition import ContainerDefinition, NetworkMode, TaskDefinition
from moorage.rules.requires_attributes import requires_attributes
from moorage.rules.task_definitions_compute import EC2_CPU_MAX_UNITS, FAULTS
from moorage.rules.task_sizes import cpu_units, memory_mib

OVERRIDES_MAX_CHARS: Final = 8192  # of JSON; AWS's own number
# Docker refuses a container with less, and so do recent versions of ECS.
CONTAINER_MEMORY_MIN_MIB: Final = 4
MEMORY_MAX_MIB: Final = 32 * 1024 * 1024  # 32 TiB: the largest hosts that there are
_NO_OVERRIDES = TaskOverride()


class InvalidOverride(Refused):
    code = "InvalidParameterException"


class SizeRefused(Refused):
    """The task cannot have this size on this kind of compute; ECS says it as it does at registration."""

    code = "ClientException"


def effective(definition: TaskDefinition, overrides: TaskOverride, *, fargate: bool) -> TaskDefinition:
    """The definition as the task will have it. Raises `InvalidOverride` and `SizeRefused`."""
    if overrides == _NO_OVERRIDES:
        return definition
    _check_length(overrides)
    by_name = _by_name(definition, overrides.container_overrides)
    result = replace(
        definition,
        cpu=_size("cpu", overrides.cpu, cpu_units, EC2_CPU_MAX_UNITS) or definition.cpu,
        memory=_size("memory", overrides.memory, memory_mib, MEMORY_MAX_MIB) or definition.memory,
        containers=tuple(_container(part, by_name.get(part.name)) for part in definition.containers),
        execution_role_arn=overrides.execution_role_arn or definition.execution_role_arn,
    )
    fault = FAULTS["FARGATE" if fargate else "EC2"](result) or _sum_fault(result)
    if fault:
        raise SizeRefused(fault)
    return replace(result, requires_attributes=requires_attributes(result))


def reserved(definition: TaskDefinition, mode: NetworkMode) -> Resources:
    """What a task takes of its host: its own size where it has one, else the sum of its containers'."""
    containers = definition.containers
    cpu = definition.cpu if definition.cpu is not None else sum(part.cpu for part in containers)
    memory = definition.memory
    if memory is None:
        memory = sum(part.memory_reservation or part.memory or 0 for part in containers)
    return Resources(
        cpu=cpu,
        memory=memory,
        ports_tcp=_host_ports(containers, mode, "tcp"),
        ports_udp=_host_ports(containers, mode, "udp"),
    )


def _host_ports(containers: Sequence[ContainerDefinition], mode: NetworkMode, protocol: str) -> tuple[int, ...]:
    """The ports of the host that are known beforehand: chosen by the definition in bridge mode, all in host mode."""
    if mode not in ("bridge", "host"):
        return ()
    mappings = [m for part in containers for m in part.port_mappings if m.protocol == protocol]
    ports = [m.container_port if mode == "host" else m.host_port or 0 for m in mappings]
    return tuple(dict.fromkeys(port for port in ports if port))


def _check_length(overrides: TaskOverride) -> None:
    length = len(msgspec.json.encode(_said(msgspec.to_builtins(overrides))))
    if length > OVERRIDES_MAX_CHARS:
        raise InvalidOverride(f"Container Overrides length must be at most {OVERRIDES_MAX_CHARS}")


def _said(value: object) -> object:
    """`value` without what was left out, as the caller wrote it."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner is not None}
    return [_said(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _by_name(definition: TaskDefinition, overrides: Sequence[ContainerOverride]) -> dict[str, ContainerOverride]:
    known = {part.name for part in definition.containers}
    by_name: dict[str, ContainerOverride] = {}
    for override in overrides:
        if override.name not in known:
            raise InvalidOverride(
                f"Override for container named {override.name} is not a container in the TaskDefinition."
            )
        if override.name in by_name:
            raise InvalidOverride(f"There is more than one override for the container named {override.name}.")
        by_name[override.name] = override
    return by_name


def _container(part: ContainerDefinition, override: ContainerOverride | None) -> ContainerDefinition:
    if override is None:
        return part
    _check_container(override)
    result = replace(
        part,
        cpu=part.cpu if override.cpu is None else override.cpu,
        memory=part.memory if override.memory is None else override.memory,
        memory_reservation=override.memory_reservation or part.memory_reservation,
    )
    if result.memory and result.memory_reservation and result.memory_reservation > result.memory:
        raise InvalidOverride(f"Container '{part.name}': 'memory' must not be less than 'memoryReservation'.")
    return result


def _check_container(override: ContainerOverride) -> None:
    if override.cpu is not None and not 0 <= override.cpu <= EC2_CPU_MAX_UNITS:
        raise InvalidOverride(f"Container '{override.name}': 'cpu' must be between 0 and {EC2_CPU_MAX_UNITS} units.")
    for what, amount in (("memory", override.memory), ("memoryReservation", override.memory_reservation)):
        if amount is not None and not CONTAINER_MEMORY_MIN_MIB <= amount <= MEMORY_MAX_MIB:
            raise InvalidOverride(
                f"Container '{override.name}': '{what}' must be between {CONTAINER_MEMORY_MIN_MIB} and "
                f"{MEMORY_MAX_MIB} MiB."
            )
    texts = [*(override.command or ()), *(pair.value for pair in override.environment or ())]
    for pair in override.environment or ():
        texts.append(pair.name)
        if not pair.name or "=" in pair.name:
            raise InvalidOverride(
                f"Container '{override.name}': a variable's name must not be empty nor contain '='."
            )
    if any("\0" in text for text in texts):  # it ends a string for the kernel
        raise InvalidOverride(f"Container '{override.name}': the character NUL is not allowed.")


def _sum_fault(definition: TaskDefinition) -> str | None:
    for what, whole, parts in (
        ("cpu", definition.cpu, [part.cpu for part in definition.containers]),
        (
            "memory",
            definition.memory,
            [part.memory_reservation or part.memory or 0 for part in definition.containers],
        ),
    ):
        if whole is not None and sum(parts) > whole:
            return f"The sum of the '{what}' of the containers is greater than the task's."
    return None


def _size(what: str, given: str | None, read: Callable[[str], int | None], largest: int) -> int | None:
    if given is None:
        return None
    size = read(given)
    if not size or size > largest:
        raise SizeRefused(f"Invalid '{what}' setting for task.")
    return size
