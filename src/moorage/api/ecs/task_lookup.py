"""Finding tasks: DescribeTasks and ListTasks. Source: ECS API reference."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from operator import attrgetter
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import InvalidParameter, ServiceNotFound
from moorage.api.ecs.lookup import active_cluster, member_arn, walked_page
from moorage.api.ecs.task_shapes import Failure, TasksAnswer, task_shapes
from moorage.base.ids import Scope
from moorage.model.cluster import Cluster
from moorage.model.task import Task

TASKS_MAX: Final = 100  # of one DescribeTasks
LAUNCH_TYPES: Final = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")
_ID_LENGTHS: Final = (32, 36)  # of today's ids, and of the UUIDs of before 2018


def task_arn(scope: Scope, cluster: Cluster, name: str) -> str:
    """The ARN of a task given by its id or its ARN; refused where it is neither."""
    if not name.startswith("arn:") and len(name) not in _ID_LENGTHS:
        raise InvalidParameter("taskId length should be one of [32,36]")
    return member_arn(scope, "task", cluster, name)


class DescribeTasksRequest(msgspec.Struct, frozen=True, kw_only=True):
    tasks: tuple[str, ...] = ()
    cluster: str | None = None
    include: tuple[str, ...] = ()


def describe_tasks(call: Call, request: DescribeTasksRequest) -> TasksAnswer:
    """The named tasks as they are; those that are not known, or no longer, come back as failures."""
    if not request.tasks:
        raise InvalidParameter("Tasks cannot be empty.")
    if len(request.tasks) > TASKS_MAX:
        raise InvalidParameter(f"At most {TASKS_MAX} tasks can be described at once.")
    for word in request.include:
        if word != "TAGS":
            raise InvalidParameter(f"The include value '{word}' is not valid; use TAGS.")
    state = call.store.view()
    cluster = active_cluster(state, call.scope, request.cluster)
    tasks: list[Task] = []
    failures: list[Failure] = []
    for arn in dict.fromkeys(task_arn(call.scope, cluster, name) for name in request.tasks):
        task = state.tasks.get(arn)
        if task is None:
            failures.append(Failure(arn=arn, reason="MISSING"))
        else:
            tasks.append(task)
    return TasksAnswer(tasks=task_shapes(state, tasks, tags="TAGS" in request.include), failures=tuple(failures))


class ListTasksRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster: str | None = None
    container_instance: str | None = None
    family: str | None = None
    service_name: str | None = None
    started_by: str | None = None
    desired_status: str | None = None
    launch_type: str | None = None
    max_results: int | None = None
    next_token: str | None = None


class ListTasksAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    task_arns: list[str]
    next_token: str | None = None


def list_tasks(call: Call, request: ListTasksRequest) -> ListTasksAnswer:
    """The ARNs of a cluster's tasks that pass all filters; without one, of those that should be running."""
    _check(request)
    state = call.store.view()
    cluster = active_cluster(state, call.scope, request.cluster)
    if request.service_name is not None:
        raise ServiceNotFound  # there are no services yet
    facts = _facts(call.scope, cluster, request)
    # No task ever wants to be PENDING, so asking for that finds none, as in ECS.
    listed: tuple[Hashable, ...] = (cluster.arn, request.desired_status or "RUNNING")
    if facts:  # the narrowest list that there is; what else was asked is looked for in it
        listed += facts.popitem()
    wanted = [(attrgetter(name), value) for name, value in facts.items()]

    def arns_after(key: str) -> Iterator[str]:
        tasks = state.tasks.after(listed, key)
        return (task.arn for task in tasks if all(fact(task) == value for fact, value in wanted))

    page, token = walked_page(arns_after, request.next_token, request.max_results)
    return ListTasksAnswer(task_arns=page, next_token=token)


def _check(request: ListTasksRequest) -> None:
    if request.desired_status not in (None, "RUNNING", "PENDING", "STOPPED"):
        raise InvalidParameter("desiredStatus must be RUNNING, PENDING or STOPPED.")
    if request.launch_type not in (None, *LAUNCH_TYPES):
        raise InvalidParameter(f"launchType must be one of {', '.join(LAUNCH_TYPES)}.")
    others = (request.family, request.service_name, request.container_instance)
    if request.started_by is not None and any(other is not None for other in others):
        raise InvalidParameter("startedBy cannot be combined with family, serviceName or containerInstance.")
    if request.family is not None and request.service_name is not None:
        raise InvalidParameter("family and serviceName cannot be combined.")


def _facts(scope: Scope, cluster: Cluster, request: ListTasksRequest) -> dict[str, str]:
    """What the tasks must be beside their cluster and status, the most telling last."""
    facts = {
        "launch_type": request.launch_type,
        "family": request.family,
        "started_by": request.started_by,
        "instance": request.container_instance
        and member_arn(scope, "container-instance", cluster, request.container_instance),
    }
    return {name: value for name, value in facts.items() if value is not None}
