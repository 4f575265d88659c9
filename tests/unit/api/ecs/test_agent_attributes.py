"""Attributes that users put on instances."""

from __future__ import annotations

import pytest

from moorage.api.call import Call
from moorage.api.ecs.attributes import (
    DeleteAttributesRequest,
    ListAttributesRequest,
    PutAttributesRequest,
    delete_attributes,
    list_attributes,
    put_attributes,
)
from moorage.api.ecs.errors import AttributeLimitExceeded, InvalidParameter, TargetNotFound
from moorage.api.ecs.instance_shapes import AttributeShape
from tests.unit.records import INSTANCE, a_cluster, an_instance
from tests.unit.support import make_call


def a_call() -> Call:
    call = make_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.container_instances.put(an_instance())
    return call


def on(name: str, value: str | None = None, target: str = INSTANCE) -> AttributeShape:
    return AttributeShape(name=name, value=value, target_id=target)


def put(call: Call, *attributes: AttributeShape) -> tuple[AttributeShape, ...]:
    return put_attributes(call, PutAttributesRequest(attributes=attributes)).attributes


def listed(call: Call, name: str | None = None, value: str | None = None) -> list[tuple[str, str | None]]:
    request = ListAttributesRequest(target_type="container-instance", attribute_name=name, attribute_value=value)
    return [(one.name, one.value) for one in list_attributes(call, request).attributes]


def test_an_attribute_is_put_replaced_and_deleted() -> None:
    call = a_call()
    (shown,) = put(call, on("stack", "prod"))
    assert (shown.target_type, shown.target_id) == ("container-instance", INSTANCE)
    put(call, on("stack", "test"))
    assert listed(call, "stack") == [("stack", "test")]
    gone = delete_attributes(call, DeleteAttributesRequest(attributes=(on("stack"), on("never"))))
    assert [one.name for one in gone.attributes] == ["stack"]
    assert listed(call, "stack") == []


def test_a_short_id_needs_its_type() -> None:
    call = a_call()
    put(call, AttributeShape(name="a", target_type="container-instance", target_id="a" * 32))
    with pytest.raises(InvalidParameter, match="targetType"):
        put(call, on("a", target="a" * 32))
    with pytest.raises(InvalidParameter, match="targetId"):
        put(call, AttributeShape(name="a"))


def test_an_unknown_target_is_told_by_its_own_error() -> None:
    with pytest.raises(TargetNotFound):
        put(a_call(), on("a", target=INSTANCE[:-1] + "0"))


def test_an_instance_takes_ten_custom_attributes_all_or_none() -> None:
    call = a_call()
    put(call, *(on(f"a{number}") for number in range(9)))
    with pytest.raises(AttributeLimitExceeded):
        put(call, on("b1"), on("b2"))
    assert len(listed(call)) == 10  # nine, and the agent's own


@pytest.mark.parametrize(
    "bad",
    [
        on(""),
        on("a b"),
        on("x" * 129),
        on("a", "x" * 129),
        on("a", " x"),
        on("a", "x "),
        on("ecs.os-type", "windows"),
    ],
)
def test_names_and_values_that_ecs_does_not_take_are_refused(bad: AttributeShape) -> None:
    with pytest.raises(InvalidParameter):
        put(a_call(), bad)


def test_a_call_takes_one_to_ten_attributes() -> None:
    for count in (0, 11):
        with pytest.raises(InvalidParameter):
            put(a_call(), *(on(f"a{number}") for number in range(count)))


def test_lists_can_be_narrowed_by_name_and_value() -> None:
    call = a_call()
    put(call, on("stack", "prod"), on("rack", "r1"))
    assert listed(call) == [("ecs.os-type", "linux"), ("rack", "r1"), ("stack", "prod")]
    assert listed(call, "stack", "prod") == [("stack", "prod")]
    assert listed(call, "stack", "test") == []
    with pytest.raises(InvalidParameter):
        listed(call, None, "prod")
    with pytest.raises(InvalidParameter):
        list_attributes(call, ListAttributesRequest(target_type="task"))
