"""The capacity providers of a cluster and its default strategy."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.records import a_task
from tests.unit.support import make_call

FARGATE_ONLY = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]


def test_providers_and_strategy_are_kept_and_told() -> None:
    call = make_call()
    strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
    asked = {"capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": strategy}
    made = ask(call, "CreateCluster", **asked)["cluster"]
    assert made["capacityProviders"] == ["FARGATE"]
    assert made["defaultCapacityProviderStrategy"] == FARGATE_ONLY
    assert ask(call, "DescribeClusters")["clusters"][0]["defaultCapacityProviderStrategy"] == FARGATE_ONLY


def test_putting_replaces_all_of_them() -> None:
    call = make_call()
    ask(call, "CreateCluster")
    put = {"cluster": "default", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": FARGATE_ONLY}
    assert ask(call, "PutClusterCapacityProviders", **put)["cluster"]["capacityProviders"] == ["FARGATE"]
    nothing = put | {"capacityProviders": [], "defaultCapacityProviderStrategy": []}
    assert ask(call, "PutClusterCapacityProviders", **nothing)["cluster"]["capacityProviders"] == []


def test_a_provider_in_use_stays() -> None:
    call = make_call()
    ask(call, "CreateCluster", capacityProviders=["FARGATE"])
    with call.store.update() as tx:
        tx.tasks.put(replace(a_task(), launch_type="FARGATE", capacity_provider="FARGATE"))
    with pytest.raises(Refused, match="ResourceInUseException"):
        ask(
            call,
            "PutClusterCapacityProviders",
            cluster="default",
            capacityProviders=[],
            defaultCapacityProviderStrategy=[],
        )


@pytest.mark.parametrize(
    ("providers", "strategy", "why"),
    [
        (["FARGATE_SPOT"], [], "FARGATE_SPOT is not available"),
        (["my-group"], [], "does not exist"),
        ([], FARGATE_ONLY, "not associated"),
        (["FARGATE"], [{"capacityProvider": "FARGATE", "weight": 0}], "weight above zero"),
        (["FARGATE"], [{"capacityProvider": "FARGATE", "weight": 1001}], "weight of a capacity provider"),
        (["FARGATE"], [{"capacityProvider": "FARGATE", "weight": 1, "base": -1}], "base of a capacity provider"),
        (["FARGATE"], FARGATE_ONLY * 2, "twice"),
    ],
)
def test_what_cannot_be_is_refused(providers: list[str], strategy: list[dict[str, object]], why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        ask(make_call(), "CreateCluster", capacityProviders=providers, defaultCapacityProviderStrategy=strategy)
    assert caught.value.code == "InvalidParameterException"
