"""From what a caller of RegisterTaskDefinition hands in to a definition that can run, or the reason why not.

The order of checks is the caller's order of repair: the family, the task's own settings, each container, what the
containers share, and last what the compute that is asked for cannot do.
Source: ECS API, RegisterTaskDefinition; Developer Guide, "Task definition parameters".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.base.ids import Arn
from moorage.model.task_definition import (
    Compatibility,
    ContainerDefinition,
    Definition,
    IpcMode,
    NetworkMode,
    PidMode,
    PlacementConstraint,
    RuntimePlatform,
)
from moorage.rules.query import InvalidExpression, compiled
from moorage.rules.requires_attributes import requires_attributes
from moorage.rules.task_definitions_compute import FAULTS, fargate_size_fault
from moorage.rules.task_definitions_containers import NAME, container_definition
from moorage.rules.task_definitions_draft import ConstraintDraft, Draft, InvalidDefinition
from moorage.rules.task_definitions_linux import check_namespaces
from moorage.rules.task_definitions_order import check_order
from moorage.rules.task_definitions_ports import check_across_containers, repeated
from moorage.rules.task_definitions_volumes import check_mounts, check_volumes
from moorage.rules.task_sizes import cpu_units, memory_mib

CONTAINERS_MAX: Final = 10  # AWS's own quota
CONSTRAINTS_MAX: Final = 10  # AWS's own quota
DEFINITION_MAX_BYTES: Final = 64 * 1024  # AWS's own quota
ROLE_MAX_CHARS: Final = 2048  # the longest ARN that IAM gives out
EPHEMERAL_STORAGE_GIB: Final = range(21, 200 + 1)
INT_MAX: Final = 2**31 - 1  # integers are 32-bit in the API

_NETWORK_MODES: Final[dict[str, NetworkMode]] = {
    "awsvpc": "awsvpc",
    "bridge": "bridge",
    "host": "host",
    "none": "none",
}
_ARCHITECTURES = frozenset(("X86_64", "ARM64"))
_OS_FAMILIES = frozenset(
    [
        "LINUX",
        "WINDOWS_SERVER_2016_FULL",
        "WINDOWS_SERVER_2004_CORE",
        "WINDOWS_SERVER_20H2_CORE",
        "WINDOWS_SERVER_2019_FULL",
        "WINDOWS_SERVER_2019_CORE",
        "WINDOWS_SERVER_2022_FULL",
        "WINDOWS_SERVER_2022_CORE",
        "WINDOWS_SERVER_2025_FULL",
        "WINDOWS_SERVER_2025_CORE",
    ]
)
# NUL ends a string for the kernel; half a surrogate pair has no UTF-8.
_UNFIT = re.compile("[\0\ud800-\udfff]")


def definition_of(draft: Draft) -> Definition:
    """The definition that `draft` means, complete. Raises `InvalidDefinition`."""
    _check_values(draft)
    _check_family(draft.family)
    wanted = _wanted(draft.requires_compatibilities or ())
    task = _task_settings(draft, wanted)
    if "FARGATE" in wanted:
        _refuse(fargate_size_fault(task))
    definition = msgspec.structs.replace(task, containers=_containers(draft, task))
    check_mounts(definition)
    check_namespaces(definition)
    for compatibility in wanted or ("EC2",):
        _refuse(FAULTS[compatibility](definition))
    return msgspec.structs.replace(
        definition,
        compatibilities=tuple(kind for kind, fault_of in FAULTS.items() if fault_of(definition) is None),
        requires_attributes=requires_attributes(definition),
    )


def _refuse(fault: str | None) -> None:
    if fault:
        raise InvalidDefinition(fault)


def _check_values(draft: Draft) -> None:
    """What no member may hold, wherever it is; after this, sizes and encodings are safe to compute with."""
    _check_value(msgspec.to_builtins(draft))
    size = len(msgspec.json.encode(draft))
    if size > DEFINITION_MAX_BYTES:
        raise InvalidDefinition(f"Actual length: '{size}'. Max allowed length is '{DEFINITION_MAX_BYTES}' bytes.")


def _check_value(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_value(key)
            _check_value(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_value(inner)
    elif isinstance(value, str) and _UNFIT.search(value):
        raise InvalidDefinition("A task definition must not contain the character NUL or a lone surrogate.")
    elif isinstance(value, int) and not -INT_MAX <= value <= INT_MAX:
        raise InvalidDefinition(f"Integers in a task definition must be between -{INT_MAX} and {INT_MAX}.")


def _check_family(family: str) -> None:
    if not family:
        raise InvalidDefinition("Family should not be null or empty.")
    if not NAME.fullmatch(family):
        raise InvalidDefinition(
            "Family contains invalid characters. Up to 255 letters, digits, underscores and hyphens are allowed."
        )


def _wanted(names: tuple[str, ...]) -> tuple[Compatibility, ...]:
    known = {str(kind): kind for kind in FAULTS}
    for name in names:
        if name not in known:
            raise InvalidDefinition(f"Unknown compatibility '{name}'; known are {', '.join(known)}.")
    return tuple(dict.fromkeys(known[name] for name in names))


def _task_settings(draft: Draft, wanted: tuple[Compatibility, ...]) -> Definition:
    """All that is not a container's."""
    if draft.network_mode and draft.network_mode not in _NETWORK_MODES:
        raise InvalidDefinition(f"Unknown networkMode '{draft.network_mode}'; known are {', '.join(_NETWORK_MODES)}.")
    _check_platform(draft.runtime_platform)
    check_volumes(draft.volumes or ())
    if draft.ephemeral_storage and draft.ephemeral_storage.size_in_gib not in EPHEMERAL_STORAGE_GIB:
        raise InvalidDefinition("Invalid 'ephemeralStorage' setting for task: sizeInGiB must be between 21 and 200.")
    for what, role in (("taskRoleArn", draft.task_role_arn), ("executionRoleArn", draft.execution_role_arn)):
        if role and not _is_role(role):
            raise InvalidDefinition(f"Role is not valid: {what} must be the ARN or the name of an IAM role.")
    return Definition(
        family=draft.family,
        containers=(),
        network_mode=_NETWORK_MODES[draft.network_mode] if draft.network_mode else None,
        cpu=_size("cpu", draft.cpu, cpu_units(draft.cpu) if draft.cpu else None),
        memory=_size("memory", draft.memory, memory_mib(draft.memory) if draft.memory else None),
        task_role_arn=draft.task_role_arn or None,
        execution_role_arn=draft.execution_role_arn or None,
        pid_mode=_pid_mode(draft.pid_mode),
        ipc_mode=_ipc_mode(draft.ipc_mode),
        volumes=draft.volumes or (),
        placement_constraints=_constraints(draft.placement_constraints or ()),
        requires_compatibilities=wanted or None,
        runtime_platform=draft.runtime_platform,
        ephemeral_storage=draft.ephemeral_storage,
    )


def _pid_mode(name: str | None) -> PidMode | None:
    known: dict[str, PidMode] = {"host": "host", "task": "task"}
    if name and name not in known:
        raise InvalidDefinition(f"Unknown pidMode '{name}'; known are {', '.join(known)}.")
    return known[name] if name else None


def _ipc_mode(name: str | None) -> IpcMode | None:
    known: dict[str, IpcMode] = {"host": "host", "task": "task", "none": "none"}
    if name and name not in known:
        raise InvalidDefinition(f"Unknown ipcMode '{name}'; known are {', '.join(known)}.")
    return known[name] if name else None


def _size(what: str, text: str | None, size: int | None) -> int | None:
    if text and not size:  # nothing readable, or zero
        raise InvalidDefinition(f"Invalid '{what}' setting for task.")
    return size


def _is_role(role: str) -> bool:
    if len(role) > ROLE_MAX_CHARS:
        return False
    if not role.startswith("arn:"):
        return "/" not in role and ":" not in role
    arn = Arn.parse(role)
    return arn is not None and arn.service == "iam" and arn.resource.startswith("role/") and arn.account.isdigit()


def _check_platform(platform: RuntimePlatform | None) -> None:
    if platform is None:
        return
    if platform.cpu_architecture and platform.cpu_architecture not in _ARCHITECTURES:
        raise InvalidDefinition(f"Unknown cpuArchitecture '{platform.cpu_architecture}'; use X86_64 or ARM64.")
    if platform.operating_system_family and platform.operating_system_family not in _OS_FAMILIES:
        raise InvalidDefinition(f"Unknown operatingSystemFamily '{platform.operating_system_family}'.")


def _constraints(drafts: Sequence[ConstraintDraft]) -> tuple[PlacementConstraint, ...]:
    if len(drafts) > CONSTRAINTS_MAX:
        raise InvalidDefinition(f"A task definition can have at most {CONSTRAINTS_MAX} placement constraints.")
    return tuple(map(_constraint, drafts))


def _constraint(draft: ConstraintDraft) -> PlacementConstraint:
    if draft.type != "memberOf":  # distinctInstance says how tasks of one call stand to each other
        raise InvalidDefinition(f"Invalid placement constraint type '{draft.type or ''}'; use memberOf.")
    try:
        compiled(draft.expression or "")
    except InvalidExpression as error:
        raise InvalidDefinition(error.message) from error
    return PlacementConstraint(type=draft.type, expression=draft.expression)


def _containers(draft: Draft, task: Definition) -> tuple[ContainerDefinition, ...]:
    if not draft.container_definitions:
        raise InvalidDefinition("Container list cannot be empty.")
    if len(draft.container_definitions) > CONTAINERS_MAX:
        raise InvalidDefinition(f"Too many containers. A task definition has at most {CONTAINERS_MAX}.")
    containers = tuple(container_definition(one, task.network_mode) for one in draft.container_definitions)
    twice = repeated(container.name for container in containers)
    if twice is not None:
        raise InvalidDefinition(f"The container name '{twice}' is used more than once in the task definition.")
    if not any(container.essential for container in containers):
        raise InvalidDefinition("At least one container of a task definition must be essential.")
    check_across_containers(containers)
    check_order(containers)
    _check_sums(task, containers)
    return containers


def _check_sums(task: Definition, containers: tuple[ContainerDefinition, ...]) -> None:
    if task.cpu is not None and sum(container.cpu for container in containers) > task.cpu:
        raise InvalidDefinition(
            "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."
        )
    if task.memory is None:
        return
    # A hard limit is a ceiling, not a reservation: the soft limit counts where there is one.
    reserved = sum(container.memory_reservation or container.memory or 0 for container in containers)
    if reserved > task.memory or any((container.memory or 0) > task.memory for container in containers):
        raise InvalidDefinition("The 'memory' setting for container is greater than for the task")
