"""What callers of RunTask and StartTask hand in, and the checks that need nothing but the request.

Source: ECS API, RunTask and StartTask.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from moorage.api.ecs import tags as tag_rules
from moorage.api.ecs.errors import InvalidParameter
from moorage.model.cluster import Cluster, StrategyItem
from moorage.model.tags import Tag, Tags
from moorage.model.task import TaskOverride
from moorage.model.task_definition import PlacementConstraint, TaskDefinition
from moorage.rules.placement_order import STRATEGIES_MAX, Strategy, strategy
from moorage.rules.query import Predicate, compiled

COUNT_MAX: Final = 10  # tasks in one call; AWS's own number
INSTANCES_MAX: Final = 10
GROUP_MAX_CHARS: Final = 255
REFERENCE_MAX_CHARS: Final = 1024
CONSTRAINTS_MAX: Final = 10  # of definition and request together
# ECS takes more from RunTask than from StartTask.
STARTED_BY_MAX_CHARS: Final = {"RunTask": 128, "StartTask": 36}
_CLIENT_TOKEN = re.compile(r"[!-~]{1,64}")


class AwsvpcConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`assign_public_ip` has both its values: no interface has an address outside the VPC, and every one reaches
    the outside through its host, which is what tasks ask for by ENABLED."""

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    assign_public_ip: str | None = None


class NetworkConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    awsvpc_configuration: AwsvpcConfiguration | None = None


class PlacementStrategy(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    field: str | None = None


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What RunTask and StartTask have in common. `reference_id` is told nowhere, by ECS neither."""

    task_definition: str = ""
    cluster: str | None = None
    overrides: TaskOverride = TaskOverride()
    network_configuration: NetworkConfiguration | None = None
    group: str | None = None
    started_by: str | None = None
    tags: tuple[Tag, ...] = ()
    propagate_tags: str | None = None
    enable_ecs_managed_tags: bool = msgspec.field(name="enableECSManagedTags", default=False)
    enable_execute_command: bool = False
    reference_id: str | None = None


class RunTaskRequest(LaunchRequest, frozen=True, kw_only=True, rename="camel"):
    count: int = 1
    launch_type: str | None = None
    capacity_provider_strategy: tuple[StrategyItem, ...] = ()
    placement_constraints: tuple[PlacementConstraint, ...] = ()
    placement_strategy: tuple[PlacementStrategy, ...] = ()
    platform_version: str | None = None
    client_token: str | None = None


class StartTaskRequest(LaunchRequest, frozen=True, kw_only=True, rename="camel"):
    container_instances: tuple[str, ...] = ()


def check_common(request: LaunchRequest, operation: str) -> None:
    """Refuses what cannot be in either operation."""
    longest = STARTED_BY_MAX_CHARS[operation]
    if request.started_by is not None and len(request.started_by) > longest:
        raise InvalidParameter(f"startedBy must be at most {longest} characters long.")
    if request.group is not None and not 1 <= len(request.group) <= GROUP_MAX_CHARS:
        raise InvalidParameter(f"group must be between 1 and {GROUP_MAX_CHARS} characters long.")
    if request.group is not None and request.group.startswith("service:"):
        raise InvalidParameter("Invalid namespace for group. The namespace service is reserved for services.")
    if request.reference_id is not None and len(request.reference_id) > REFERENCE_MAX_CHARS:
        raise InvalidParameter(f"referenceId must be at most {REFERENCE_MAX_CHARS} characters long.")
    if request.propagate_tags not in (None, "TASK_DEFINITION", "NONE"):
        raise InvalidParameter("propagateTags must be TASK_DEFINITION or NONE: a task run by itself has no service.")


def check_run(request: RunTaskRequest) -> None:
    """Refuses what RunTask cannot be asked for, whatever the launch type."""
    check_common(request, "RunTask")
    if not 1 <= request.count <= COUNT_MAX:
        raise InvalidParameter(f"Count must be between 1 and {COUNT_MAX}.")
    if request.client_token is not None and not _CLIENT_TOKEN.fullmatch(request.client_token):
        raise InvalidParameter("clientToken must be 1 to 64 printable ASCII characters without spaces.")
    if request.launch_type and request.capacity_provider_strategy:
        raise InvalidParameter("Specify either Launch Type or Capacity Provider Strategy, but not both.")


def placement_strategies(items: Sequence[PlacementStrategy]) -> tuple[Strategy, ...]:
    """The strategies of a request; refused where there is none of that name."""
    if len(items) > STRATEGIES_MAX:
        raise InvalidParameter(f"At most {STRATEGIES_MAX} placement strategies can be specified.")
    return tuple(strategy(item.type, item.field) for item in items)


@dataclass(frozen=True)
class Constraints:
    """What placement constraints come to."""

    distinct: bool  # each task on an instance of its own
    members_of: tuple[Predicate, ...]


def placement_constraints(definition: TaskDefinition, asked: Sequence[PlacementConstraint]) -> Constraints:
    """The constraints of a definition and of a request together; refused where one cannot be."""
    constraints = (*definition.placement_constraints, *asked)
    if len(constraints) > CONSTRAINTS_MAX:
        raise InvalidParameter(f"At most {CONSTRAINTS_MAX} placement constraints can be specified.")
    for one in constraints:
        if one.type not in ("distinctInstance", "memberOf"):
            raise InvalidParameter(f"The placement constraint type '{one.type}' is not valid.")
        if one.type == "distinctInstance" and one.expression:
            raise InvalidParameter("A placement constraint of type distinctInstance does not accept an expression.")
    return Constraints(
        distinct=any(one.type == "distinctInstance" for one in constraints),
        members_of=tuple(compiled(one.expression or "") for one in constraints if one.type == "memberOf"),
    )


def task_tags(request: LaunchRequest, cluster: Cluster, definition: TaskDefinition) -> Tags:
    """The request's tags over those propagated, and ECS's own if asked for."""
    tags = tag_rules.checked(request.tags)
    if request.propagate_tags == "TASK_DEFINITION":
        tags = tag_rules.merged(definition.tags, tags)
    managed = (Tag(key="aws:ecs:clusterName", value=cluster.name),) if request.enable_ecs_managed_tags else ()
    return (*tags, *managed)


def fingerprint(request: RunTaskRequest) -> str:
    """The same for the same request, and for no other."""
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()
