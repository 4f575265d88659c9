"""The capacity providers of a cluster and its default strategy.

Only FARGATE is known so far. FARGATE_SPOT is refused rather than treated as FARGATE: who asks for it counts on being
interrupted with a warning, and on the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moorage.api.ecs.errors import InvalidParameter
from moorage.base.errors import Refused
from moorage.model.cluster import StrategyItem

FARGATE: Final = "FARGATE"
FARGATE_SPOT: Final = "FARGATE_SPOT"
STRATEGY_MAX_ITEMS: Final = 20  # AWS's own quota
WEIGHT_MAX: Final = 1000
BASE_MAX: Final = 100_000


class ResourceInUse(Refused):
    code = "ResourceInUseException"
    message = "The specified capacity provider is in use and cannot be removed."


def checked_providers(names: Sequence[str]) -> tuple[str, ...]:
    """The names without repetition; refused where one is no provider of this installation."""
    for name in names:
        if name == FARGATE_SPOT:
            raise InvalidParameter(
                "The capacity provider FARGATE_SPOT is not available: this installation has no spot capacity. "
                "Use FARGATE."
            )
        if name != FARGATE:
            raise InvalidParameter(
                "The specified capacity provider does not exist. Specify a valid name or ARN and try again."
            )
    return tuple(dict.fromkeys(names))


def checked_strategy(items: Sequence[StrategyItem], providers: Sequence[str]) -> tuple[StrategyItem, ...]:
    """The strategy; refused where its numbers or its providers cannot be."""
    if len(items) > STRATEGY_MAX_ITEMS:
        raise InvalidParameter(f"A capacity provider strategy has at most {STRATEGY_MAX_ITEMS} items.")
    checked_providers([item.capacity_provider for item in items])
    if len({item.capacity_provider for item in items}) != len(items):
        raise InvalidParameter("A capacity provider strategy must not name a capacity provider twice.")
    for item in items:
        if item.capacity_provider not in providers:
            raise InvalidParameter(
                "The specified default capacity provider strategy contains a capacity provider that is not "
                "associated with the cluster. Associate the capacity provider with the cluster and try again."
            )
        if not 0 <= item.weight <= WEIGHT_MAX:
            raise InvalidParameter(f"The weight of a capacity provider must be between 0 and {WEIGHT_MAX}.")
        if not 0 <= item.base <= BASE_MAX:
            raise InvalidParameter(f"The base of a capacity provider must be between 0 and {BASE_MAX}.")
    if sum(item.base > 0 for item in items) > 1:
        raise InvalidParameter("Only one capacity provider of a strategy can have a base.")
    if items and not any(item.weight for item in items):
        raise InvalidParameter("At least one capacity provider of a strategy must have a weight above zero.")
    return tuple(items)
