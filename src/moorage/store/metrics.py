"""The metrics buffer: what agents published lately, in memory and in bounds, until a metrics service reads it.

It is no part of the state: nothing of it is journalled, a restart of the server begins it anew, and the next round of
every agent fills it again. Nothing decides by it yet.

Samples are kept packed: nearly all are dropped unread, and a packed one takes a tenth of the memory.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.model.metrics import InstanceStatus, TaskSample

# Three minutes of rounds: the minute that is being filled and two whole ones, which is what alarms compare.
ROUNDS_KEPT: Final = 9
# A task that no round has named for as long has ended, or its agent is away.
KEPT_S: Final = 180.0
# At some 400 bytes a sample this is below 200 MB; beyond, the tasks that were named longest ago go first.
TASKS_MAX: Final = 50_000
INSTANCES_MAX: Final = 10_000  # twice the hosts of a region that one server holds


class MetricsBuffer:
    """The last samples of each task and the last word on each instance."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[TaskArn, deque[bytes]] = OrderedDict()  # the last named last
        self._heard_s: dict[TaskArn, float] = {}
        self._instances: OrderedDict[ContainerInstanceArn, dict[str, InstanceStatus]] = OrderedDict()
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack = msgspec.msgpack.Decoder(TaskSample).decode

    def put(self, samples: Sequence[TaskSample], now_s: float) -> None:
        """Take one message's samples; forget tasks that nobody names any more."""
        for sample in samples:
            rounds = self._tasks.setdefault(sample.task, deque(maxlen=ROUNDS_KEPT))
            rounds.append(self._pack(sample))
            self._tasks.move_to_end(sample.task)
            self._heard_s[sample.task] = now_s
        while self._tasks:
            oldest = next(iter(self._tasks))
            if len(self._tasks) <= TASKS_MAX and now_s - self._heard_s[oldest] <= KEPT_S:
                return
            del self._tasks[oldest], self._heard_s[oldest]

    def latest(self, task: TaskArn) -> TaskSample | None:
        """The last round that named the task."""
        rounds = self._tasks.get(task)
        return self._unpack(rounds[-1]) if rounds else None

    def history(self, task: TaskArn) -> list[TaskSample]:
        """What is kept of the task, oldest first."""
        return [self._unpack(packed) for packed in self._tasks.get(task, ())]

    def put_status(self, instance: ContainerInstanceArn, statuses: Sequence[InstanceStatus]) -> None:
        """The last word of an agent on its instance's parts."""
        known = self._instances.setdefault(instance, {})
        known.update({status.kind: status for status in statuses})
        self._instances.move_to_end(instance)
        if len(self._instances) > INSTANCES_MAX:
            self._instances.popitem(last=False)

    def statuses(self, instance: ContainerInstanceArn) -> list[InstanceStatus]:
        """By kind."""
        return [status for _, status in sorted(self._instances.get(instance, {}).items())]
