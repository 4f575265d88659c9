"""A cluster as callers see it, with what runs in it counted. Source: ECS API, data type Cluster."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from moorage.model.cluster import Cluster, ClusterSetting, StrategyItem
from moorage.model.tags import Tags
from moorage.model.task import LaunchType
from moorage.store import State, StateTx
from moorage.store.usage import ClusterUsage, Phase

_LAUNCH_TYPES: tuple[tuple[LaunchType, str], ...] = (("EC2", "EC2"), ("FARGATE", "Fargate"), ("EXTERNAL", "External"))
_PHASES: tuple[Phase, ...] = ("running", "pending")


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


class ClusterShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster_arn: str
    cluster_name: str
    status: str
    registered_container_instances_count: int
    running_tasks_count: int
    pending_tasks_count: int
    active_services_count: int
    statistics: tuple[Statistic, ...]
    tags: Tags
    settings: tuple[ClusterSetting, ...]
    capacity_providers: tuple[str, ...]
    default_capacity_provider_strategy: tuple[StrategyItem, ...]
    attachments: tuple[()] | None = None


class ClusterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    cluster: ClusterShape


def cluster_shape(state: State | StateTx, cluster: Cluster, include: Collection[str]) -> ClusterShape:
    """`include` names the parts that are told on request: TAGS, SETTINGS, STATISTICS, ATTACHMENTS.

    CONFIGURATIONS has nothing to tell: a cluster's configuration cannot be set yet.
    """
    usage = state.usage.cluster(cluster.arn)
    return ClusterShape(
        cluster_arn=cluster.arn,
        cluster_name=cluster.name,
        status=cluster.status,
        registered_container_instances_count=state.container_instances.count("cluster", cluster.arn),
        running_tasks_count=usage.tasks("running"),
        pending_tasks_count=usage.tasks("pending"),
        active_services_count=0,  # there are no services yet
        statistics=_statistics(usage) if "STATISTICS" in include else (),
        tags=cluster.tags if "TAGS" in include else (),
        settings=cluster.settings if "SETTINGS" in include else (),
        capacity_providers=cluster.capacity_providers,
        default_capacity_provider_strategy=cluster.default_strategy,
        attachments=() if "ATTACHMENTS" in include else None,
    )


def _statistics(usage: ClusterUsage) -> tuple[Statistic, ...]:
    tasks = [
        Statistic(name=f"{phase}{word}TasksCount", value=str(usage.tasks(phase, kind)))
        for kind, word in _LAUNCH_TYPES
        for phase in _PHASES
    ]
    services = [
        Statistic(name=f"{state}{word}ServiceCount", value="0")
        for _, word in _LAUNCH_TYPES
        for state in ("active", "draining")
    ]
    return (*tasks, *services)
