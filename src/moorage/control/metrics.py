"""What agents publish of use and of themselves, put into the metrics buffer.

An agent is believed about its own tasks alone, and within bounds: a message names at most ten tasks, a text is cut.
"""

from __future__ import annotations

from typing import Final

from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.link import tcs
from moorage.model.metrics import ContainerSample, InstanceStatus, Measure, StatisticSet, TaskSample
from moorage.store import State
from moorage.store.metrics import MetricsBuffer

TEXT_MAX: Final = 1024  # characters, as reasons have it elsewhere
STATUSES_MAX: Final = 10  # the protocol names five kinds


def take_metrics(
    state: State,
    buffer: MetricsBuffer,
    instance: ContainerInstanceArn,
    message: tcs.PublishMetricsRequest,
    now_s: float,
) -> None:
    """The samples of one message. Their moment is the server's: agents' clocks are their own."""
    samples = []
    for told in message.task_metrics:
        task = state.tasks.get(TaskArn(told.task_arn or ""))
        if task is not None and task.instance == instance:
            known = {container.name for container in task.containers}
            containers = tuple(_container(one) for one in told.container_metrics if one.container_name in known)
            samples.append(TaskSample(task=task.arn, at_s=now_s, containers=containers[: len(known)]))
    buffer.put(samples, now_s)


def take_status(
    buffer: MetricsBuffer,
    instance: ContainerInstanceArn,
    message: tcs.PublishInstanceStatusRequest,
    now_s: float,
) -> None:
    """What the agent says of its instance's parts."""
    buffer.put_status(
        instance,
        [
            InstanceStatus(
                kind=one.type[:TEXT_MAX],
                status=one.status[:TEXT_MAX],
                reason=(one.status_reason or "")[:TEXT_MAX],
                changed_s=one.last_status_change or 0.0,
                heard_s=now_s,
            )
            for one in message.statuses[:STATUSES_MAX]
            if one.type and one.status
        ],
    )


def _container(told: tcs.ContainerMetric) -> ContainerSample:
    network = told.network_stats_set or tcs.NetworkStatsSet()
    storage = told.storage_stats_set or tcs.StorageStatsSet()
    found: dict[Measure, tcs.StatsSet | tcs.CounterSet | None] = {
        "CpuUtilized": told.cpu_stats_set,
        "MemoryUtilized": told.memory_stats_set,
        "NetworkRxBytes": network.rx_bytes,
        "NetworkTxBytes": network.tx_bytes,
        "NetworkRxBytesPerSecond": network.rx_bytes_per_second,
        "NetworkTxBytesPerSecond": network.tx_bytes_per_second,
        "StorageReadBytes": storage.read_size_bytes,
        "StorageWriteBytes": storage.write_size_bytes,
    }
    restarts = told.restart_stats_set
    return ContainerSample(
        name=told.container_name or "",
        sets={
            name: StatisticSet(one.min, one.max, one.sum, one.sample_count)
            for name, one in found.items()
            if one is not None
        },
        restarts=None if restarts is None else restarts.restart_count,
    )
