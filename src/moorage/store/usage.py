"""What is taken of each container instance, what is left, and how many tasks a cluster has, kept as records change:
placement reads it for thousands of instances at once and callers poll it, so it is not counted anew each time.

Everything here is derived: it follows the tables of tasks and of container instances change by change, in whatever
order they come (a journal is read back table by table), and a transaction that is undone undoes it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from moorage.base.ids import ClusterArn, ContainerInstanceArn
from moorage.model.container_instance import ContainerInstance, Resources
from moorage.model.node import NOTHING, Node
from moorage.model.task import LaunchType, Task, TaskStatus

K = TypeVar("K", bound=str | int)

Phase = Literal["pending", "running", "ending"]
_PHASES: Final[dict[TaskStatus, Phase]] = {
    "PROVISIONING": "pending",
    "PENDING": "pending",
    "ACTIVATING": "pending",
    "RUNNING": "running",
    "DEACTIVATING": "ending",
    "STOPPING": "ending",
    "DEPROVISIONING": "ending",
}
"""Of each status but STOPPED, which counts nowhere."""


class Pool:
    """The nodes of one cluster, in no order that means anything but the same for the same history."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._place: dict[ContainerInstanceArn, int] = {}
        self._zones: dict[str, int] = {}

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones in which it has nodes."""
        return tuple(self._zones)

    @property
    def nodes(self) -> Sequence[Node]:
        """All that are not INACTIVE. Good until the next write; nobody outside changes it."""
        return self._nodes

    def get(self, instance: ContainerInstanceArn) -> Node | None:
        """The node of that instance, or None."""
        place = self._place.get(instance)
        return None if place is None else self._nodes[place]

    def put(self, node: Node) -> None:
        """Add a node or put its new value in place of the old."""
        place = self._place.setdefault(node.arn, len(self._nodes))
        if place == len(self._nodes):
            self._nodes.append(node)
            self._count_zone(node, 1)
        else:
            old = self._nodes[place]
            if old.zone != node.zone:
                self._count_zone(old, -1)
                self._count_zone(node, 1)
            self._nodes[place] = node

    def drop(self, instance: ContainerInstanceArn) -> None:
        """Remove a node; the last one moves into its place."""
        place = self._place.pop(instance)
        self._count_zone(self._nodes[place], -1)
        last = self._nodes.pop()
        if last.arn != instance:
            self._nodes[place] = last
            self._place[last.arn] = place

    def _count_zone(self, node: Node, sign: int) -> None:
        if node.zone is not None:
            _add(self._zones, node.zone, sign)


class GroupUsage:
    """Where the tasks of one group of a cluster are: how many on each instance and in each zone."""

    def __init__(self) -> None:
        self.on_instance: dict[ContainerInstanceArn, int] = {}
        self.in_zone: dict[str, int] = {}
        self._instances_with: dict[int, int] = {}  # a number of tasks -> how many instances have that many

    def fewest(self, instances: int) -> int:
        """The least number of the group's tasks that any of `instances` instances has."""
        return 0 if len(self.on_instance) < instances else min(self._instances_with, default=0)

    def count(self, instance: ContainerInstanceArn, zone: str, sign: int) -> None:
        """One task more or less."""
        before = self.on_instance.get(instance, 0)
        _add(self.on_instance, instance, sign)
        _add(self.in_zone, zone, sign)
        if before:
            _add(self._instances_with, before, -1)
        if before + sign:
            _add(self._instances_with, before + sign, 1)


class ClusterUsage:
    """How many tasks a cluster has in each phase of their life, by launch type and capacity provider."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Phase, LaunchType, str | None], int] = {}  # a handful, whatever the cluster holds

    def __len__(self) -> int:
        """All that are not STOPPED."""
        return sum(self._counts.values())

    def tasks(self, phase: Phase, launch_type: LaunchType | None = None) -> int:
        """Those of one phase; None: of every launch type."""
        return sum(
            count
            for (in_phase, kind, _), count in self._counts.items()
            if in_phase == phase and launch_type in (None, kind)
        )

    @property
    def providers(self) -> set[str]:
        """The capacity providers that a task is on."""
        return {provider for _, _, provider in self._counts if provider is not None}

    def count(self, kind: tuple[Phase, LaunchType, str | None], sign: int) -> None:
        """One task more or less."""
        left = self._counts.get(kind, 0) + sign
        if left:
            self._counts[kind] = left
        else:
            del self._counts[kind]


EMPTY_POOL = Pool()
EMPTY_GROUP = GroupUsage()
EMPTY_CLUSTER = ClusterUsage()


class Usage:
    """The sum of `reserved` over the tasks of an instance that are not STOPPED, how many they are, what is left."""

    def __init__(self) -> None:
        self._taken: dict[ContainerInstanceArn, Resources] = {}
        self._tasks: dict[ContainerInstanceArn, int] = {}
        self._pools: dict[ClusterArn, Pool] = {}
        self._pool_of: dict[ContainerInstanceArn, Pool] = {}
        self._groups: dict[tuple[ClusterArn, str], GroupUsage] = {}
        self._clusters: dict[ClusterArn, ClusterUsage] = {}

    def of(self, instance: ContainerInstanceArn) -> Resources:
        """What the tasks of `instance` hold now."""
        return self._taken.get(instance, NOTHING)

    def tasks_on(self, instance: ContainerInstanceArn) -> int:
        """How many tasks hold something of `instance`."""
        return self._tasks.get(instance, 0)

    def pool(self, cluster: ClusterArn) -> Pool:
        """The nodes of a cluster."""
        return self._pools.get(cluster, EMPTY_POOL)

    def group(self, cluster: ClusterArn, group: str) -> GroupUsage:
        """Where the tasks of that cluster's group are."""
        return self._groups.get((cluster, group), EMPTY_GROUP)

    def cluster(self, cluster: ClusterArn) -> ClusterUsage:
        """The tasks of a cluster."""
        return self._clusters.get(cluster, EMPTY_CLUSTER)

    def observe_instance(self, old: ContainerInstance | None, new: ContainerInstance | None) -> None:
        """Follow one container instance's change."""
        was = old if old is not None and old.status != "INACTIVE" else None
        now = new if new is not None and new.status != "INACTIVE" else None
        if was is not None and (now is None or now.cluster != was.cluster):
            self._pool_of.pop(was.arn).drop(was.arn)
        if now is not None:
            pool = self._pools.setdefault(now.cluster, Pool())
            self._pool_of[now.arn] = pool
            pool.put(Node.of(now, self.of(now.arn), self.tasks_on(now.arn)))

    def observe(self, old: Task | None, new: Task | None) -> None:
        """Follow one task's change."""
        held = old if old is not None and not old.stopped else None
        wanted = new if new is not None and not new.stopped else None
        self._count_phase(held, wanted)
        if held and wanted and held.reserved is wanted.reserved and held.instance == wanted.instance:
            return
        if held:
            self._take(held, -1)
        if wanted:
            self._take(wanted, 1)

    def _count_phase(self, held: Task | None, wanted: Task | None) -> None:
        before = held and (_PHASES[held.last_status], held.launch_type, held.capacity_provider)
        after = wanted and (_PHASES[wanted.last_status], wanted.launch_type, wanted.capacity_provider)
        if before == after:
            return
        if held and before:
            self._clusters[held.cluster].count(before, -1)
            if not self._clusters[held.cluster]:
                del self._clusters[held.cluster]
        if wanted and after:
            self._clusters.setdefault(wanted.cluster, ClusterUsage()).count(after, 1)

    def _take(self, task: Task, sign: int) -> None:
        arn = task.instance
        taken = _sum(self._taken.get(arn, NOTHING), task.reserved, sign)
        tasks = self._tasks.get(arn, 0) + sign
        if tasks:
            self._taken[arn], self._tasks[arn] = taken, tasks
        else:
            del self._taken[arn], self._tasks[arn]
        pool = self._pool_of.get(arn)
        node = pool.get(arn) if pool is not None else None
        if pool is not None and node is not None:
            pool.put(node.holding(taken, tasks))
        self._count(task, sign)

    def _count(self, task: Task, sign: int) -> None:
        key = (task.cluster, task.group)
        group = self._groups.setdefault(key, GroupUsage())
        group.count(task.instance, task.availability_zone, sign)
        if not group.on_instance:
            del self._groups[key]


def _add(counts: dict[K, int], key: K, sign: int) -> None:
    count = counts.get(key, 0) + sign
    if count:
        counts[key] = count
    else:
        del counts[key]


def _sum(held: Resources, want: Resources, sign: int) -> Resources:
    return Resources(
        cpu=held.cpu + sign * want.cpu,
        memory=held.memory + sign * want.memory,
        ports_tcp=_ports(held.ports_tcp, want.ports_tcp, sign),
        ports_udp=_ports(held.ports_udp, want.ports_udp, sign),
    )


def _ports(held: tuple[int, ...], want: tuple[int, ...], sign: int) -> tuple[int, ...]:
    if not want:
        return held
    if sign > 0:
        return held + want
    left = list(held)
    for port in want:
        left.remove(port)
    return tuple(left)
