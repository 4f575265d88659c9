"""What agents publish of tasks and instances: measured, not decided, and no part of the state."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import TaskArn

Measure = Literal[
    "CpuUtilized",  # per cent of the host
    "MemoryUtilized",  # MiB
    "NetworkRxBytes",
    "NetworkTxBytes",
    "NetworkRxBytesPerSecond",
    "NetworkTxBytesPerSecond",
    "StorageReadBytes",
    "StorageWriteBytes",
]


class StatisticSet(msgspec.Struct, frozen=True, array_like=True):
    """What was seen in one round, some twenty seconds; of a counter, what it rose by between two looks."""

    least: float
    most: float
    total: float
    count: int


class ContainerSample(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    name: str
    sets: dict[Measure, StatisticSet]
    restarts: int | None = None  # None: it is never restarted


class TaskSample(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One round of one task."""

    task: TaskArn
    at_s: float
    containers: tuple[ContainerSample, ...]


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a part of an instance is, by its agent's account."""

    kind: str  # "ContainerRuntime", …
    status: str  # "OK", "IMPAIRED", "INSUFFICIENT_DATA", "INITIALIZING"
    reason: str = ""
    changed_s: float = 0.0
    heard_s: float = 0.0
