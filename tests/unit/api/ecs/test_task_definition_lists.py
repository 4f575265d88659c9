"""Lists of task definitions are filtered, ordered by number and paged."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.support import make_call

PART = {"name": "app", "image": "busybox", "memory": 64}


@pytest.fixture
def call() -> Call:
    """Families a (12 revisions, the first retired), ab (one, retired) and b (one)."""
    call = make_call()
    for family, count in (("b", 1), ("a", 12), ("ab", 1)):
        for _ in range(count):
            ask(call, "RegisterTaskDefinition", family=family, containerDefinitions=[PART])
    for name in ("a:1", "ab:1"):
        ask(call, "DeregisterTaskDefinition", taskDefinition=name)
    return call


def _all(call: Call, **members: object) -> list[str]:
    found: list[str] = []
    token: dict[str, Any] = {}
    while True:
        answer = ask(call, "ListTaskDefinitions", **members, **token)
        found += [arn.rpartition("/")[2] for arn in answer["taskDefinitionArns"]]
        if "nextToken" not in answer:
            return found
        token = {"nextToken": answer["nextToken"]}


ACTIVE = [f"a:{number}" for number in range(2, 13)] + ["b:1"]


@pytest.mark.parametrize("size", [1, 3, 12, 100])
def test_revisions_are_ordered_by_number_on_any_page_size(call: Call, size: int) -> None:
    assert _all(call, maxResults=size) == ACTIVE
    assert _all(call, maxResults=size, sort="DESC") == ACTIVE[::-1]


def test_retired_revisions_are_listed_apart(call: Call) -> None:
    assert _all(call, status="INACTIVE") == ["a:1", "ab:1"]
    ask(call, "DeleteTaskDefinitions", taskDefinitions=["a:1"])
    assert _all(call, status="INACTIVE") == ["ab:1"]
    assert _all(call, status="DELETE_IN_PROGRESS") == ["a:1"]


def test_the_family_prefix_of_revisions_is_a_whole_name(call: Call) -> None:
    assert _all(call, familyPrefix="a") == ACTIVE[:-1]
    assert _all(call, familyPrefix="ab") == []


def test_the_family_prefix_of_families_is_a_prefix(call: Call) -> None:
    def families(**members: object) -> object:
        return ask(call, "ListTaskDefinitionFamilies", **members)["families"]

    assert families() == ["a", "ab", "b"]
    assert families(familyPrefix="a") == ["a", "ab"]
    assert families(status="ACTIVE") == ["a", "b"]
    assert families(status="INACTIVE") == ["ab"]
    assert families(status="ALL", familyPrefix="b") == ["b"]


def test_a_family_without_revisions_is_hidden(call: Call) -> None:
    with call.store.update() as tx:
        tx.task_definitions.delete(call.scope.arn("ecs", "task-definition/ab:1"))
    assert ask(call, "ListTaskDefinitionFamilies")["families"] == ["a", "b"]


@pytest.mark.parametrize(
    "members",
    [
        {"maxResults": 0},
        {"maxResults": 101},
        {"sort": "UP"},
        {"status": "LOST"},
        {"nextToken": "garbage"},
        {"nextToken": "ff"},
        {"nextToken": b"a".hex()},
        {"nextToken": b"a:x".hex()},
    ],
)
def test_what_cannot_be_listed_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(make_call(), "ListTaskDefinitions", **members)
