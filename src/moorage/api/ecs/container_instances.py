"""Container instances as users see and manage them. Registration, which is the agent's, is in `registration.py`.

The hosts of the Fargate fleet are in a cluster that no caller can name, so none of these calls ever meets one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.errors import ClientRefused, InvalidParameter
from moorage.api.ecs.instance_shapes import ContainerInstanceShape, Failure, shown
from moorage.api.ecs.lookup import active_cluster, list_page, member_arn
from moorage.api.ecs.registration import agents_cluster
from moorage.model.cluster import Cluster
from moorage.model.container_instance import ContainerInstance
from moorage.model.node import Node
from moorage.model.task import Task
from moorage.rules.lifecycle import abandon
from moorage.rules.query import Asked, compiled
from moorage.store import State, StateTx

DESCRIBED_MAX: Final = 100
UPDATED_MAX: Final = 10
KIND: Final = "container-instance"
FORCED: Final = "Container instance deregistration forced by user"
NOT_FOUND: Final = "The referenced container instance was not found."
_INCLUDABLE: Final = frozenset({"TAGS", "CONTAINER_INSTANCE_HEALTH"})
_STATUSES: Final = frozenset({"ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"})

T = TypeVar("T")


class DescribeContainerInstancesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instances: tuple[str, ...]
    cluster: str | None = None
    include: tuple[str, ...] = ()


class DescribeContainerInstancesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instances: tuple[ContainerInstanceShape, ...]
    failures: tuple[Failure, ...]


def describe_container_instances(
    call: Call, request: DescribeContainerInstancesRequest
) -> DescribeContainerInstancesResponse:
    """Deregistered ones too, as long as they are remembered."""
    unknown = set(request.include) - _INCLUDABLE
    if unknown:
        raise InvalidParameter(f"include cannot be {', '.join(sorted(unknown))}.")
    state = call.store.view()
    cluster = active_cluster(state, call.scope, request.cluster)
    tags, health = "TAGS" in request.include, "CONTAINER_INSTANCE_HEALTH" in request.include
    found, failures = _each(state, call, cluster, request.container_instances, DESCRIBED_MAX)
    return DescribeContainerInstancesResponse(
        container_instances=tuple(shown(state, instance, tags=tags, health=health) for instance in found),
        failures=tuple(failures),
    )


class ListContainerInstancesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster: str | None = None
    filter: str | None = None
    status: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListContainerInstancesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instance_arns: tuple[str, ...]
    next_token: str | None = None


def list_container_instances(call: Call, request: ListContainerInstancesRequest) -> ListContainerInstancesResponse:
    """Without a status: all but the deregistered. `filter` is an expression of the cluster query language."""
    if request.status and request.status not in _STATUSES:
        raise InvalidParameter(f"status must be one of {', '.join(sorted(_STATUSES))}.")
    passes = compiled(request.filter) if request.filter is not None else None
    state = call.store.view()
    cluster = active_cluster(state, call.scope, request.cluster)
    arns: list[str] = [
        node.arn
        for node in state.usage.pool(cluster.arn).nodes
        if (not request.status or node.instance.status == request.status)
        and (passes is None or passes(Asked(node, lambda node: _groups_on(state, node))))
    ]
    chosen, following = list_page(arns, request.next_token, request.max_results)
    return ListContainerInstancesResponse(container_instance_arns=tuple(chosen), next_token=following)


def _groups_on(state: State, node: Node) -> set[str]:
    return {task.group for task in state.tasks.by("instance", node.arn)}


class UpdateContainerInstancesStateRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instances: tuple[str, ...]
    status: str
    cluster: str | None = None


class UpdateContainerInstancesStateResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instances: tuple[ContainerInstanceShape, ...]
    failures: tuple[Failure, ...]


def update_container_instances_state(
    call: Call, request: UpdateContainerInstancesStateRequest
) -> UpdateContainerInstancesStateResponse:
    """ACTIVE or DRAINING: whether new tasks may come. Those that run are not touched."""
    status: Literal["ACTIVE", "DRAINING"]
    if request.status == "ACTIVE":
        status = "ACTIVE"
    elif request.status == "DRAINING":
        status = "DRAINING"
    else:
        raise InvalidParameter("Container instance status should be one of [ACTIVE, DRAINING].")
    with call.store.update() as tx:
        cluster = agents_cluster(tx, call, request.cluster)
        found, failures = _each(tx, call, cluster, request.container_instances, UPDATED_MAX)
        updated = []
        for instance in found:
            if instance.status == "INACTIVE":
                failures.append(Failure(arn=instance.arn, reason="INACTIVE"))
                continue
            if instance.status != status:
                instance = tx.container_instances.put(replace(instance, status=status, version=instance.version + 1))
            updated.append(shown(tx, instance))
    return UpdateContainerInstancesStateResponse(container_instances=tuple(updated), failures=tuple(failures))


class DeregisterContainerInstanceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instance: str
    cluster: str | None = None
    force: bool | None = None


class DeregisterContainerInstanceResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instance: ContainerInstanceShape


def deregister_container_instance(
    call: Call, request: DeregisterContainerInstanceRequest
) -> DeregisterContainerInstanceResponse:
    """The instance is INACTIVE, and its agent is sent away. By force its tasks are STOPPED for ECS at once: the
    agent ends those that lost their address, while others run on unwatched."""
    with call.store.update() as tx:
        cluster = agents_cluster(tx, call, request.cluster)
        instance = tx.container_instances.get(member_arn(call.scope, KIND, cluster, request.container_instance))
        if instance is None:
            raise InvalidParameter(NOT_FOUND)
        tasks = tx.tasks.by("instance", instance.arn)
        if tasks and not request.force:
            raise InvalidParameter("Found running tasks on the instance.")
        for task in tasks:
            _give_up(tx, task, call.now_s)
        if instance.status != "INACTIVE":
            instance = tx.container_instances.put(
                replace(
                    instance,
                    status="INACTIVE",
                    agent_connected=False,
                    disconnected_at=call.now_s,
                    version=instance.version + 1,
                )
            )
        return DeregisterContainerInstanceResponse(container_instance=shown(tx, instance))


def _give_up(tx: StateTx, task: Task, now_s: float) -> None:
    tx.tasks.put(abandon(task, code="UserInitiated", reason=FORCED, now_s=now_s))
    if task.interface is not None:
        tx.network_interfaces.delete(task.interface)


def _each(
    state: State | StateTx, call: Call, cluster: Cluster, names: tuple[str, ...], most: int
) -> tuple[list[ContainerInstance], list[Failure]]:
    """The instances of those names, each once, and a failure for each that there is not."""
    if not names:
        raise ClientRefused("Container Instances cannot be empty.")
    if len(names) > most:
        raise InvalidParameter(f"containerInstances can have at most {most} items.")
    found, failures = [], []
    for arn in _once(names, lambda name: member_arn(call.scope, KIND, cluster, name)):
        instance = state.container_instances.get(arn)
        if instance is None:
            failures.append(Failure(arn=arn, reason="MISSING"))
        else:
            found.append(instance)
    return found, failures


def _once(names: tuple[str, ...], key: Callable[[str], T]) -> list[T]:
    return list(dict.fromkeys(key(name) for name in names))
