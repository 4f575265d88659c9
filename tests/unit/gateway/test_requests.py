"""A request struct lists what an operation carries out; anything else is refused by name."""

from __future__ import annotations

import msgspec
import pytest

from moorage.gateway.requests import BadMember, Reader


class Inner(msgspec.Struct, frozen=True, rename="camel"):
    known_one: str | None = None


class Outer(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    count: int = 1
    inner: Inner | None = None
    list_of_inner: tuple[Inner, ...] = ()
    not_yet: tuple[()] = ()
    free_map: dict[str, str] | None = None


READER = Reader(Outer)


def test_members_of_the_struct_are_supported_at_any_depth() -> None:
    request = {"name": "a", "inner": {"knownOne": "x"}, "listOfInner": [{"knownOne": "y"}], "freeMap": {"any": "z"}}
    assert READER.unsupported(request) == []
    assert READER.read(request).list_of_inner[0].known_one == "y"


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"name": "a", "other": 1}, "other"),
        ({"name": "a", "inner": {"other": 1}}, "inner.other"),
        ({"name": "a", "listOfInner": [{}, {"other": [1]}]}, "listOfInner[1].other"),
        ({"name": "a", "notYet": [{"x": 1}]}, "notYet"),
    ],
)
def test_a_member_that_is_not_carried_out_is_named(request_: dict[str, object], path: str) -> None:
    assert READER.unsupported(request_) == [path]


@pytest.mark.parametrize("nothing", [None, False, "", [], {}, {"deep": {"deeper": []}}])
def test_a_member_that_says_nothing_is_no_request(nothing: object) -> None:
    assert READER.unsupported({"name": "a", "other": nothing}) == []


@pytest.mark.parametrize("something", [True, 0, 0.5, "x", [None], {"a": 1}])
def test_a_member_that_says_something_is(something: object) -> None:
    assert READER.unsupported({"name": "a", "other": something}) == ["other"]


def test_a_value_of_the_wrong_kind_is_told_with_its_place() -> None:
    with pytest.raises(BadMember, match=r"count"):
        READER.read({"name": "a", "count": "many"})
