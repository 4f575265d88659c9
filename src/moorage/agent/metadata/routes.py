"""The endpoint's paths: task metadata v2 to v4, statistics, associations, task protection."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

from moorage.agent.life import TaskLife
from moorage.agent.metadata.answer import NOT_FOUND, Answer, Query, told
from moorage.agent.metadata.describe import Describer, Node
from moorage.agent.metadata.lookup import Lookup
from moorage.agent.metadata.shapes import Task, container_as_v3, task_as_v3
from moorage.agent.metadata.stats import Statistics, statistics
from moorage.agent.spec import ContainerId
from moorage.agent.usage import Usage

Version = Literal["v3", "v4"]
WithTags = Callable[[Task], Awaitable[Task]]

_V2: Final = re.compile(r"/v2/(metadata|metadataWithTags|stats)(?:/([^/]+))?/?\Z")
_CONTAINER: Final = re.compile(r"/(v3|v4)/([^/]+)(?:/(task|taskWithTags|stats|task/stats))?/?\Z")
_ASSOCIATIONS: Final = re.compile(r"/(v3|v4)/([^/]+)/associations/([^/]+)(/[^/]+)?/?\Z")
_PROTECTION: Final = re.compile(r"/api/([^/]+)/task-protection/v1/state/?\Z")


class _Associations(msgspec.Struct, frozen=True, rename="pascal"):
    associations: tuple[str, ...] = ()


class _ProtectionError(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    code: str
    message: str
    arn: str = ""


class _Protection(msgspec.Struct, frozen=True):
    error: _ProtectionError


class Routes:
    """Answers a query, wherever it came in."""

    def __init__(
        self,
        lookup: Lookup,
        describer: Describer,
        node: Node,
        earlier: Callable[[ContainerId], Usage | None],
        with_tags: WithTags,
    ) -> None:
        self._lookup = lookup
        self._describer = describer
        self._node = node
        self._earlier = earlier  # an earlier look at a container's use
        self._with_tags = with_tags

    async def answer(self, query: Query) -> Answer:
        """What the paths of the published agent answer, and 404 for all others."""
        if found := _PROTECTION.match(query.path):
            return self._protection(query, found[1])
        if query.method != "GET":
            return NOT_FOUND
        if found := _CONTAINER.match(query.path):
            version: Version = "v3" if found[1] == "v3" else "v4"
            return await self._of_container(query, version, found[2], found[3] or "")
        if found := _ASSOCIATIONS.match(query.path):
            return self._associations(query, found)
        if found := _V2.match(query.path):
            return await self._of_address(query, found[1], found[2] or "")
        return NOT_FOUND

    def knows(self, query: Query) -> bool:
        """Whether the container in a query's path is one of this node's; also true where no path names one."""
        parts = query.path.split("/")
        if len(parts) < 3 or parts[1] not in ("v3", "v4", "api"):
            return True
        return self._lookup.container(parts[2], query) is not None

    async def _of_container(self, query: Query, version: Version, endpoint_id: str, what: str) -> Answer:
        found = self._lookup.container(endpoint_id, query)
        if found is None:
            return _unknown(version, endpoint_id)
        task, index = found
        if what == "":
            described = self._describer.container(task, index)
            return told(described if version == "v4" else container_as_v3(described))
        if what == "stats":
            return told(self._stats(task, index, version))
        if what == "task/stats":
            return told(self._task_stats(task, version))
        if what == "taskWithTags" and task.plan.facts.launch_type == "FARGATE":
            return NOT_FOUND
        whole = self._describer.task(task)
        if what == "taskWithTags":
            whole = await self._with_tags(whole)
        return told(whole if version == "v4" else task_as_v3(whole))

    async def _of_address(self, query: Query, what: str, runtime_id: str) -> Answer:
        """Version 2, which knows the task by its address, and has the shapes of version 3."""
        task = self._lookup.task_at(query)
        if task is None:
            return told(f"V2 {what} handler: unable to get task arn from request: no task at {query.source}", 404)
        indexes = {container.plan.runtime_id: index for index, container in enumerate(task.containers)}
        if runtime_id and runtime_id not in indexes:
            return told(f"V2 {what} handler: unable to find container {runtime_id}", 404)
        if what == "stats":
            if runtime_id:
                return told(self._stats(task, indexes[runtime_id], "v3"))
            return told(self._task_stats(task, "v3"))
        if runtime_id:
            return told(container_as_v3(self._describer.container(task, indexes[runtime_id])))
        whole = self._describer.task(task)
        if what == "metadataWithTags":
            whole = await self._with_tags(whole)
        return told(task_as_v3(whole))

    def _stats(self, task: TaskLife, index: int, version: Version) -> Statistics | None:
        """None for a container that does not run (yet, or any more)."""
        life = task.containers[index]
        now = self._node.usage(life.plan.spec.id) if life.phase == "running" else None
        if now is None:
            return None
        name, before = life.plan.facts.docker_name, self._earlier(life.plan.spec.id)
        return statistics(life.plan.runtime_id, name, now, before, rates=version == "v4")

    def _task_stats(self, task: TaskLife, version: Version) -> dict[str, Statistics | None]:
        return {
            container.plan.runtime_id: self._stats(task, index, version)
            for index, container in enumerate(task.containers)
        }

    def _associations(self, query: Query, found: re.Match[str]) -> Answer:
        """No task here has any: accelerators are the one kind there is."""
        version: Version = "v3" if found[1] == "v3" else "v4"
        if self._lookup.container(found[2], query) is None:
            return _unknown(version, found[2])
        return NOT_FOUND if found[4] else told(_Associations())

    def _protection(self, query: Query, endpoint_id: str) -> Answer:
        """Protecting a task from scale-in is asked with its role's credentials; tasks have no role here."""
        found = self._lookup.container(endpoint_id, query)
        if query.method not in ("GET", "PUT"):
            return NOT_FOUND
        if found is None:
            message = "Failed to find a task for the request"
            return told(_Protection(_ProtectionError(code="ResourceNotFoundException", message=message)), 404)
        message = "Invalid Request: no task IAM role credentials available for task"
        error = _ProtectionError(code="AccessDeniedException", message=message, arn=found[0].plan.arn)
        return told(_Protection(error), 403)


def _unknown(version: Version, endpoint_id: str) -> Answer:
    return told(
        f"{version.upper()} container metadata handler: unable to get container ID from request: "
        f"unable to get docker ID from {version} endpoint ID: {endpoint_id}",
        404,
    )
