"""Who asks: the container behind an endpoint id, and the task behind an address.

An id alone is not enough. What has an address of its own must ask from there; what shares the host's network must ask
from the host; what has no network asks on a socket inside. So even a leaked id is of no use to another task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moorage.agent.life import TaskLife
from moorage.agent.metadata.answer import Query
from moorage.agent.metadata.describe import Node
from moorage.agent.spec import SandboxId

# What a packet of the host's own has as its source: the endpoint's address is one of the host's.
_OF_THE_HOST = ("169.254.170.2", "127.0.0.1")


class Lookup:
    """Finds tasks of a machine, whose picture changes all the time."""

    def __init__(self, tasks: Callable[[], Mapping[SandboxId, TaskLife]], node: Node) -> None:
        self._tasks = tasks
        self._node = node
        self._known: dict[str, tuple[SandboxId, int]] = {}

    def container(self, endpoint_id: str, query: Query) -> tuple[TaskLife, int] | None:
        """The container with this id, if it is its own task that asks."""
        tasks = self._tasks()
        found = self._known.get(endpoint_id)
        if found is None or found[0] not in tasks:
            self._known = {
                container.plan.facts.endpoint_id: (id_, index)
                for id_, task in tasks.items()
                for index, container in enumerate(task.containers)
                if container.plan.facts.endpoint_id
            }
            found = self._known.get(endpoint_id)
        if found is None or not self._is_asking(tasks[found[0]], query):
            return None
        return tasks[found[0]], found[1]

    def task_at(self, query: Query) -> TaskLife | None:
        """The awsvpc task at the address that asks."""
        if query.inside:
            return None
        for task in self._tasks().values():
            interface = task.plan.sandbox.interface
            if interface is not None and interface.address == query.source:
                return task
        return None

    def _is_asking(self, task: TaskLife, query: Query) -> bool:
        sandbox = task.plan.sandbox
        if query.inside or sandbox.network_mode == "none":  # inside, an address is whatever the task gives itself
            return query.inside == sandbox.id
        if sandbox.network_mode == "host":
            return query.source in _OF_THE_HOST
        address = sandbox.interface.address if sandbox.interface else self._node.sandbox_address(sandbox.id)
        return bool(address) and query.source == address
