"""ECS clusters. Source: API reference, data type Cluster."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import AccountId, ClusterArn, Region
from moorage.model.tags import Tags

FARGATE_CLUSTER = "moorage-fargate"
"""The reserved name under which the hosts of the Fargate fleet register, one such cluster in each region."""


class ClusterSetting(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


class StrategyItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of a capacity provider strategy."""

    capacity_provider: str
    weight: int = 0
    base: int = 0


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """`fargate` marks the one cluster of a region whose instances are the Fargate fleet; no caller sees it."""

    arn: ClusterArn
    name: str
    account: AccountId
    region: Region
    status: Literal["ACTIVE", "INACTIVE"] = "ACTIVE"
    settings: tuple[ClusterSetting, ...] = ()
    capacity_providers: tuple[str, ...] = ()
    default_strategy: tuple[StrategyItem, ...] = ()
    tags: Tags = ()
    created_at: float
    fargate: bool = False
