"""What is taken of each container instance, kept as tasks come and go: placement reads it for thousands of
instances at once, so it is not counted anew each time."""

from __future__ import annotations

from moorage.base.ids import ContainerInstanceArn
from moorage.model.container_instance import Resources
from moorage.model.task import Task

NOTHING = Resources()


class Usage:
    """The sum of `reserved` over the tasks of an instance that are not STOPPED, and how many they are."""

    def __init__(self) -> None:
        self._taken: dict[ContainerInstanceArn, Resources] = {}
        self._tasks: dict[ContainerInstanceArn, int] = {}

    def of(self, instance: ContainerInstanceArn) -> Resources:
        """What the tasks of `instance` hold now."""
        return self._taken.get(instance, NOTHING)

    def tasks_on(self, instance: ContainerInstanceArn) -> int:
        """How many tasks hold something of `instance`."""
        return self._tasks.get(instance, 0)

    def observe(self, old: Task | None, new: Task | None) -> None:
        """Follow one record's change."""
        held = old if old is not None and not old.stopped else None
        wanted = new if new is not None and not new.stopped else None
        if held and wanted and held.reserved is wanted.reserved and held.instance == wanted.instance:
            return
        if held:
            self._take(held, -1)
        if wanted:
            self._take(wanted, 1)

    def _take(self, task: Task, sign: int) -> None:
        held = self._taken.get(task.instance, NOTHING)
        want = task.reserved
        self._taken[task.instance] = Resources(
            cpu=held.cpu + sign * want.cpu,
            memory=held.memory + sign * want.memory,
            ports_tcp=_ports(held.ports_tcp, want.ports_tcp, sign),
            ports_udp=_ports(held.ports_udp, want.ports_udp, sign),
        )
        self._tasks[task.instance] = self._tasks.get(task.instance, 0) + sign
        if not self._tasks[task.instance]:
            del self._tasks[task.instance], self._taken[task.instance]


def _ports(held: tuple[int, ...], want: tuple[int, ...], sign: int) -> tuple[int, ...]:
    if not want:
        return held
    if sign > 0:
        return held + want
    left = list(held)
    for port in want:
        left.remove(port)
    return tuple(left)
