"""Looks at what all containers use, every ten seconds, and publishes it with every round of telemetry.

Beside it the node's own health: looked at when the control plane's heartbeat asks, published with the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from moorage.agent.life import TaskLife
from moorage.agent.ports import Timers, Workers
from moorage.agent.samples import SAMPLE_EVERY_S, Samples, metric
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.usage import Usage
from moorage.base.clock import Clock
from moorage.base.dice import Dice, uuid
from moorage.link import tcs

log = logging.getLogger(__name__)

TASKS_MAX: Final = 10  # in one message, as the protocol has it
# A round that was asked for between two ticks, for news of another kind, has no metrics.
PUBLISH_EVERY_S: Final = 19.0
RUNTIME: Final = "ContainerRuntime"

Tasks = Callable[[], Mapping[SandboxId, TaskLife]]


class Meters(Protocol):
    """What is looked at; both block."""

    def usage(self, container: ContainerId) -> Usage | None: ...

    def complaint(self) -> str:
        """Why nothing can be started on the node; empty where all is well."""
        ...


class Metering:
    """The publisher of PublishMetricsRequest."""

    def __init__(
        self, tasks: Tasks, meters: Meters, workers: Workers, timers: Timers, clock: Clock, dice: Dice
    ) -> None:
        self.samples = Samples()
        self._tasks = tasks
        self._meters = meters
        self._workers = workers
        self._timers = timers
        self._clock = clock
        self._dice = dice
        self._published_s = -PUBLISH_EVERY_S

    def watch(self) -> None:
        """Look at everything now, and again and again; call once."""
        ids = [life.plan.spec.id for task in self._tasks().values() for life in task.containers if _runs(life.phase)]

        def look() -> dict[ContainerId, Usage]:
            looks = ((id_, self._meters.usage(id_)) for id_ in ids)
            return {id_: usage for id_, usage in looks if usage is not None}

        def done(looks: dict[ContainerId, Usage] | BaseException) -> None:
            self._timers.call_later(SAMPLE_EVERY_S, self.watch)
            if isinstance(looks, OSError):
                log.warning("looking at what containers use: %s", looks)
            elif isinstance(looks, BaseException):
                raise looks
            else:
                self.samples.take(looks)

        self._workers.submit(look, done)

    def publish(self, cluster: str, instance: str) -> Sequence[tcs.AgentMessage]:
        """One round: at most ten tasks in a message, the last one marked; one idle message where nothing runs."""
        now_s = self._clock.steady_s()
        if now_s - self._published_s < PUBLISH_EVERY_S:
            return ()
        self._published_s = now_s
        metrics = [found for task in self._tasks().values() if (found := self._metric(task)) is not None]
        batches = [tuple(metrics[start : start + TASKS_MAX]) for start in range(0, len(metrics), TASKS_MAX)] or [()]
        message_id = uuid(self._dice)
        return [
            tcs.PublishMetricsRequest(
                metadata=tcs.PublishMetadata(
                    cluster=cluster,
                    container_instance=instance,
                    idle=not metrics,
                    fin=batch is batches[-1],
                    message_id=message_id,
                ),
                timestamp=self._clock.now_s(),
                task_metrics=batch,
            )
            for batch in batches
        ]

    def _metric(self, task: TaskLife) -> tcs.TaskMetric | None:
        """None for a task of which nothing was looked at twice."""
        containers = tuple(self._containers(task))
        if not containers:
            return None
        facts = task.plan.facts
        return tcs.TaskMetric(
            task_arn=task.plan.arn,
            task_definition_family=facts.family,
            task_definition_version=facts.revision,
            container_metrics=containers,
        )

    def _containers(self, task: TaskLife) -> Iterator[tcs.ContainerMetric]:
        running = [life for life in task.containers if _runs(life.phase)]
        for life in running:
            spec = life.plan.spec
            found = metric(spec.name, self.samples.drain(spec.id), sharing=len(running))
            if found is not None and life.plan.restart:
                found = replace(found, restart_stats_set=tcs.RestartStatsSet(restart_count=life.restarts))
            if found is not None:
                yield found


def _runs(phase: str) -> bool:
    return phase == "running"


class InstanceHealth:
    """The publisher of PublishInstanceStatusRequest."""

    def __init__(self, meters: Meters, workers: Workers, clock: Clock, dice: Dice) -> None:
        self._meters = meters
        self._workers = workers
        self._clock = clock
        self._dice = dice
        self._complaint: str | None = None
        self._changed_s = 0.0
        self._looked_s: float | None = None

    def heartbeat(self) -> None:
        """The control plane has asked: look again."""

        def done(complaint: str | BaseException) -> None:
            if isinstance(complaint, OSError):
                complaint = str(complaint)
            if isinstance(complaint, BaseException):
                raise complaint
            self._looked_s = self._clock.now_s()
            if complaint != self._complaint:
                self._complaint = complaint
                self._changed_s = self._looked_s

        self._workers.submit(self._meters.complaint, done)

    def publish(self, cluster: str, instance: str) -> Sequence[tcs.AgentMessage]:
        """Once for each look."""
        looked_s, self._looked_s = self._looked_s, None
        if looked_s is None:
            return ()
        status = tcs.InstanceStatus(
            type=RUNTIME,
            status="IMPAIRED" if self._complaint else "OK",
            last_updated=looked_s,
            last_status_change=self._changed_s,
            status_reason=self._complaint or None,
        )
        metadata = tcs.PublishMetadata(cluster=cluster, container_instance=instance, request_id=uuid(self._dice))
        return [
            tcs.PublishInstanceStatusRequest(metadata=metadata, timestamp=self._clock.now_s(), statuses=(status,))
        ]
