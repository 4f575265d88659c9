"""Clusters: CreateCluster, DescribeClusters, ListClusters, UpdateCluster, UpdateClusterSettings,
PutClusterCapacityProviders, DeleteCluster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.account_settings import check_value, effective_value
from moorage.api.ecs.cluster_capacity import ResourceInUse, checked_providers, checked_strategy
from moorage.api.ecs.cluster_shapes import ClusterAnswer, ClusterShape, cluster_shape
from moorage.api.ecs.errors import (
    ClientRefused,
    ClusterContainsContainerInstances,
    ClusterContainsTasks,
    ClusterNotFound,
    InvalidParameter,
)
from moorage.api.ecs.lookup import DEFAULT_CLUSTER, active_cluster, cluster_arn, find_cluster, list_page
from moorage.api.ecs.tags import checked
from moorage.base.ids import ClusterArn
from moorage.model.cluster import FARGATE_CLUSTER, Cluster, ClusterSetting, StrategyItem
from moorage.model.tags import Tag
from moorage.store import State, StateTx

CLUSTERS_MAX: Final = 10_000  # per account and region; AWS's own quota
DESCRIBE_MAX: Final = 100
CONTAINER_INSIGHTS: Final = "containerInsights"
INCLUDES: Final = ("ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_CHANGED_SHAPE: Final = ("SETTINGS", "TAGS")
"""What the answer to a change tells of the cluster, unasked."""


class CreateClusterRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster_name: str | None = None
    tags: tuple[Tag, ...] | None = None
    settings: tuple[ClusterSetting, ...] | None = None
    capacity_providers: tuple[str, ...] | None = None
    default_capacity_provider_strategy: tuple[StrategyItem, ...] | None = None


def create_cluster(call: Call, request: CreateClusterRequest) -> ClusterAnswer:
    """A new cluster, or the one of that name where it is as asked for."""
    name = request.cluster_name or DEFAULT_CLUSTER
    if not _NAME.fullmatch(name):
        raise InvalidParameter("A cluster name has up to 255 letters, digits, underscores and hyphens.")
    if name == FARGATE_CLUSTER:
        raise InvalidParameter(f"The cluster name {name} is reserved.")
    tags = checked(request.tags)
    settings = _checked_settings(request.settings or ())
    providers = checked_providers(request.capacity_providers or ())
    strategy = checked_strategy(request.default_capacity_provider_strategy or (), providers)
    with call.store.update() as tx:
        existing = find_cluster(tx, call.scope, name)
        if existing is not None and existing.status == "ACTIVE":
            _check_same(existing, request)
            return _answer(tx, existing)
        active = [one for one in tx.clusters.by("scope", call.scope) if one.status == "ACTIVE" and not one.fargate]
        if len(active) >= CLUSTERS_MAX:
            raise ClientRefused(f"The limit of {CLUSTERS_MAX} clusters is reached.")
        cluster = Cluster(
            arn=ClusterArn(call.scope.arn("ecs", f"cluster/{name}")),
            name=name,
            account=call.scope.account,
            region=call.scope.region,
            settings=settings or (_default_insights(call, tx),),
            capacity_providers=providers,
            default_strategy=strategy,
            tags=tags,
            created_at=call.now_s,
        )
        tx.clusters.put(cluster)
        return _answer(tx, cluster)


def _check_same(existing: Cluster, request: CreateClusterRequest) -> None:
    """Only what the request says counts: who asks for less is content with what there is."""
    pairs: tuple[tuple[Sequence[object] | None, Sequence[object]], ...] = (
        (request.tags, existing.tags),
        (request.settings, existing.settings),
        (request.capacity_providers, existing.capacity_providers),
        (request.default_capacity_provider_strategy, existing.default_strategy),
    )
    if any(asked and set(asked) != set(has) for asked, has in pairs):
        raise InvalidParameter(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        )


def _default_insights(call: Call, state: StateTx) -> ClusterSetting:
    value = effective_value(state, call.scope, call.principal_arn, CONTAINER_INSIGHTS)
    return ClusterSetting(name=CONTAINER_INSIGHTS, value=value)


def _checked_settings(settings: Sequence[ClusterSetting]) -> tuple[ClusterSetting, ...]:
    for setting in settings:
        if setting.name != CONTAINER_INSIGHTS:
            raise InvalidParameter(f"Unknown cluster setting {setting.name}; known is {CONTAINER_INSIGHTS}.")
        check_value(CONTAINER_INSIGHTS, setting.value)
    if len(settings) > 1:
        raise InvalidParameter(f"The cluster setting {CONTAINER_INSIGHTS} is given more than once.")
    return tuple(settings)


def _answer(state: State | StateTx, cluster: Cluster) -> ClusterAnswer:
    return ClusterAnswer(cluster=cluster_shape(state, cluster, _CHANGED_SHAPE))


class DescribeClustersRequest(msgspec.Struct, frozen=True, kw_only=True):
    clusters: tuple[str, ...] | None = None
    include: tuple[str, ...] | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    arn: str
    reason: str


class DescribeClustersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    clusters: tuple[ClusterShape, ...]
    failures: tuple[Failure, ...]


def describe_clusters(call: Call, request: DescribeClustersRequest) -> DescribeClustersAnswer:
    """The named clusters, deleted ones too; the cluster `default` where none is named."""
    names = dict.fromkeys(request.clusters or (DEFAULT_CLUSTER,))
    include = request.include or ()
    if len(names) > DESCRIBE_MAX:
        raise InvalidParameter(f"At most {DESCRIBE_MAX} clusters can be described at once.")
    for part in include:
        if part not in INCLUDES:
            raise InvalidParameter(f"Unknown include {part}; known are {', '.join(INCLUDES)}.")
    state = call.store.view()
    found = {name: find_cluster(state, call.scope, name) for name in names}
    return DescribeClustersAnswer(
        clusters=tuple(cluster_shape(state, cluster, include) for cluster in found.values() if cluster),
        failures=tuple(
            Failure(arn=cluster_arn(call.scope, name), reason="MISSING")
            for name, cluster in found.items()
            if cluster is None
        ),
    )


class ListClustersRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    next_token: str | None = None
    max_results: int | None = None


class ListClustersAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster_arns: list[str]
    next_token: str | None = None


def list_clusters(call: Call, request: ListClustersRequest) -> ListClustersAnswer:
    """The ARNs of the ACTIVE clusters."""
    clusters = call.store.view().clusters.by("scope", call.scope)
    arns = [str(cluster.arn) for cluster in clusters if cluster.status == "ACTIVE" and not cluster.fargate]
    chosen, following = list_page(arns, request.next_token, request.max_results)
    return ListClustersAnswer(cluster_arns=chosen, next_token=following)


class UpdateClusterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """UpdateClusterSettings takes the same; there AWS's model requires the settings."""

    cluster: str
    settings: tuple[ClusterSetting, ...] | None = None


def update_cluster(call: Call, request: UpdateClusterRequest) -> ClusterAnswer:
    """Settings that are not named stay as they are."""
    settings = _checked_settings(request.settings or ())
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        if settings:
            cluster = tx.clusters.put(msgspec.structs.replace(cluster, settings=settings))
        return _answer(tx, cluster)


class PutClusterCapacityProvidersRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster: str
    capacity_providers: tuple[str, ...]
    default_capacity_provider_strategy: tuple[StrategyItem, ...]


def put_cluster_capacity_providers(call: Call, request: PutClusterCapacityProvidersRequest) -> ClusterAnswer:
    """Replaces providers and default strategy as a whole."""
    providers = checked_providers(request.capacity_providers)
    strategy = checked_strategy(request.default_capacity_provider_strategy, providers)
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        removed = set(cluster.capacity_providers) - set(providers)
        if removed & tx.usage.cluster(cluster.arn).providers:
            raise ResourceInUse
        changed = msgspec.structs.replace(cluster, capacity_providers=providers, default_strategy=strategy)
        return _answer(tx, tx.clusters.put(changed))


class DeleteClusterRequest(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str


def delete_cluster(call: Call, request: DeleteClusterRequest) -> ClusterAnswer:
    """Makes the cluster INACTIVE; one that already is, is answered again."""
    with call.store.update() as tx:
        cluster = find_cluster(tx, call.scope, request.cluster)
        if cluster is None:
            raise ClusterNotFound
        if tx.container_instances.count("cluster", cluster.arn):
            raise ClusterContainsContainerInstances
        if tx.usage.cluster(cluster.arn):
            raise ClusterContainsTasks
        if cluster.status != "INACTIVE":
            cluster = tx.clusters.put(msgspec.structs.replace(cluster, status="INACTIVE"))
        return _answer(tx, cluster)
