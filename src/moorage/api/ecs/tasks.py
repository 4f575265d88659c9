"""Tasks: RunTask, StartTask and StopTask. Nothing here waits for a container: what is wanted is written and told.

Source: ECS API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import ClientRefused, Conflict, InvalidParameter
from moorage.api.ecs.lookup import active_cluster, member_arn
from moorage.api.ecs.task_launch import EC2, Launch, new_task, prepare, run_kind
from moorage.api.ecs.task_lookup import task_arn
from moorage.api.ecs.task_network import attach
from moorage.api.ecs.task_requests import (
    INSTANCES_MAX,
    Constraints,
    RunTaskRequest,
    StartTaskRequest,
    check_common,
    check_run,
    fingerprint,
    placement_constraints,
    placement_strategies,
)
from moorage.api.ecs.task_shapes import Failure, TaskAnswer, TasksAnswer, task_shape, task_shapes
from moorage.base.ids import ClusterArn, ContainerInstanceArn, Scope
from moorage.base.limits import CLIENT_TOKEN_KEPT_S
from moorage.model.cluster import FARGATE_CLUSTER, Cluster
from moorage.model.node import Node
from moorage.model.task import ClientToken, Task
from moorage.rules.lifecycle import request_stop
from moorage.rules.placement import Choice, Placement, Refusal, Want, check, place, place_on_fleet
from moorage.rules.placement_filters import MemberOf, Zones
from moorage.rules.query import GroupsOn
from moorage.store import StateTx
from moorage.store.state import joined

STOPPED_BY_USER: Final = "Task stopped by user"
STOP_REASON_MAX_CHARS: Final = 1024  # as long as any reason that ECS keeps


def run_task(call: Call, request: RunTaskRequest) -> TasksAnswer:
    """Place and write up to ten tasks; those that fit nowhere come back as failures."""
    check_run(request)
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        known = _answered_before(tx, call, cluster, request)
        if known is not None:
            return TasksAnswer(tasks=task_shapes(tx, known, tags=True), failures=())
        launch = prepare(tx, call.scope, cluster, run_kind(cluster, request), request)
        placement = _fargate(tx, call, launch, request) if launch.kind.fargate else _ec2(tx, call, launch, request)
        tasks, failures = _write(tx, call, launch, placement.chosen)
        if placement.refusal:
            failures += [_failure(placement.refusal)] * (request.count - len(placement.chosen))
        if tasks and request.client_token:
            _remember(tx, call, cluster, request, tasks)
        return TasksAnswer(tasks=task_shapes(tx, tasks, tags=True), failures=tuple(failures))


def _ec2(tx: StateTx, call: Call, launch: Launch, request: RunTaskRequest) -> Placement:
    pool = tx.usage.pool(launch.cluster.arn)
    constraints = placement_constraints(launch.definition, request.placement_constraints)
    strategies = placement_strategies(request.placement_strategy)
    if not pool.nodes:
        raise InvalidParameter("No Container Instances were found in your cluster.")
    subnets = launch.network.roomy(tx) if launch.network else ()
    if launch.network and not subnets:
        return Placement((), _no_address(launch))
    zones = (Zones(frozenset(subnet.availability_zone for subnet in subnets)),) if launch.network else ()
    members = _members(tx, launch, constraints)
    want = Want(launch.resources, (*launch.filters, *zones, *members), constraints.distinct, strategies)
    return place(want, request.count, pool, tx.usage.group(launch.cluster.arn, launch.group), call.dice)


def _members(tx: StateTx, launch: Launch, constraints: Constraints) -> list[MemberOf]:
    return [MemberOf(predicate, _groups_on(tx, launch)) for predicate in constraints.members_of]


def _groups_on(tx: StateTx, launch: Launch) -> GroupsOn:
    """The groups on a node, with the launch's own once a task of it was placed there, though none is written yet."""

    def groups_on(node: Node) -> set[str]:
        groups = {task.group for task in tx.tasks.by("instance", node.arn)}
        return groups | {launch.group} if node.tasks > tx.usage.tasks_on(node.arn) else groups

    return groups_on


def _fargate(tx: StateTx, call: Call, launch: Launch, request: RunTaskRequest) -> Placement:
    assert launch.network is not None, "a Fargate task without a network"
    subnets = launch.network.roomy(tx)
    if not subnets:
        return Placement((), _no_address(launch))
    zones = tuple(dict.fromkeys(subnet.availability_zone for subnet in subnets))
    want = Want(launch.resources, launch.filters)
    group = tx.usage.group(launch.cluster.arn, launch.group)
    return place_on_fleet(want, request.count, tx.usage.pool(_fleet(call)), group, zones, call.dice)


def _fleet(call: Call) -> ClusterArn:
    """The cluster of the region's fleet, which belongs to the installation and to no caller."""
    owner = Scope(call.installation.account, call.scope.region)
    return ClusterArn(owner.arn("ecs", f"cluster/{FARGATE_CLUSTER}"))


def _write(tx: StateTx, call: Call, launch: Launch, chosen: Sequence[Choice]) -> tuple[list[Task], list[Failure]]:
    """The records of tasks on the nodes chosen for them, each with its interface."""
    tasks: list[Task] = []
    failures: list[Failure] = []
    for choice in chosen:
        interface = attach(tx, call, launch.network, choice.zone) if launch.network else None
        if launch.network and interface is None:
            failures.append(_failure(_no_address(launch, choice.node.arn)))
            continue
        tasks.append(tx.tasks.put(new_task(call, launch, choice.node, choice.zone, interface)))
    return tasks, failures


def _no_address(launch: Launch, instance: ContainerInstanceArn | None = None) -> Refusal:
    subnets = ", ".join(subnet.id for subnet in launch.network.subnets) if launch.network else ""
    return Refusal("RESOURCE:ENI", f"no address is free in {subnets}", None if launch.kind.fargate else instance)


def _failure(refusal: Refusal) -> Failure:
    return Failure(arn=refusal.instance, reason=refusal.reason, detail=refusal.detail)


def _answered_before(tx: StateTx, call: Call, cluster: Cluster, request: RunTaskRequest) -> list[Task] | None:
    """The tasks that the same request with the same token was answered with; refused for another request."""
    if request.client_token is None:
        return None
    token = tx.client_tokens.get(joined(*call.scope, "RunTask", cluster.arn, request.client_token))
    if token is None or call.now_s - token.created_at >= CLIENT_TOKEN_KEPT_S:
        return None
    if token.fingerprint != fingerprint(request):
        raise Conflict("The client token was used before with other parameters.", token.tasks)
    return [task for task in map(tx.tasks.get, token.tasks) if task is not None]


def _remember(tx: StateTx, call: Call, cluster: Cluster, request: RunTaskRequest, tasks: Sequence[Task]) -> None:
    assert request.client_token is not None
    tx.client_tokens.put(
        ClientToken(
            token=request.client_token,
            operation="RunTask",
            account=call.scope.account,
            region=call.scope.region,
            cluster=cluster.arn,
            fingerprint=fingerprint(request),
            tasks=tuple(task.arn for task in tasks),
            created_at=call.now_s,
        )
    )


def start_task(call: Call, request: StartTaskRequest) -> TasksAnswer:
    """Write one task for each container instance that the caller names, if it fits there."""
    check_common(request, "StartTask")
    names = tuple(dict.fromkeys(request.container_instances))
    if not names:
        raise ClientRefused("Container Instances cannot be empty.")
    if len(names) > INSTANCES_MAX:
        raise InvalidParameter(f"At most {INSTANCES_MAX} container instances can be specified.")
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        launch = prepare(tx, call.scope, cluster, EC2, request)
        members = _members(tx, launch, placement_constraints(launch.definition, ()))
        chosen: list[Choice] = []
        refusals: list[Refusal] = []
        for name in names:
            arn = ContainerInstanceArn(member_arn(call.scope, "container-instance", cluster, name))
            found = _on_instance(tx, launch, members, arn)
            if isinstance(found, Choice):
                chosen.append(found)
            else:
                refusals.append(found)
        tasks, failures = _write(tx, call, launch, chosen)
        failures += [_failure(refusal) for refusal in refusals]
        return TasksAnswer(tasks=task_shapes(tx, tasks, tags=True), failures=tuple(failures))


def _on_instance(
    tx: StateTx, launch: Launch, members: Sequence[MemberOf], arn: ContainerInstanceArn
) -> Choice | Refusal:
    instance = tx.container_instances.get(arn)
    if instance is None or instance.cluster != launch.cluster.arn:
        return Refusal("MISSING", "the cluster has no such container instance", arn)
    node = tx.usage.pool(launch.cluster.arn).get(arn)
    if node is None or instance.status != "ACTIVE":
        return Refusal("INACTIVE", f"the container instance is {instance.status}", arn)
    subnets = launch.network.subnets if launch.network else ()
    zones = (Zones(frozenset(subnet.availability_zone for subnet in subnets)),) if launch.network else ()
    want = Want(launch.resources, (*launch.filters, *zones, *members))
    refusal = check(want, node, tx.usage.group(launch.cluster.arn, launch.group))
    return refusal or Choice(node, node.zone or "")


class StopTaskRequest(msgspec.Struct, frozen=True, kw_only=True):
    task: str = ""
    cluster: str | None = None
    reason: str | None = None


def stop_task(call: Call, request: StopTaskRequest) -> TaskAnswer:
    """Write that a task is to end; its agent is told. A task that has ended stays as it is."""
    if request.reason is not None and len(request.reason) > STOP_REASON_MAX_CHARS:
        raise InvalidParameter(f"reason must be at most {STOP_REASON_MAX_CHARS} characters long.")
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        task = tx.tasks.get(task_arn(call.scope, cluster, request.task))
        if task is None:
            raise InvalidParameter("The referenced task was not found.")
        reason = request.reason or STOPPED_BY_USER
        after = request_stop(task, code="UserInitiated", reason=reason, now_s=call.now_s)
        if after is not task:
            tx.tasks.put(after)
        return TaskAnswer(task=task_shape(tx, after, tags=False))
