"""JSON: what is read, what is refused, what is written."""

from __future__ import annotations

import gzip

import msgspec
import pytest

from moorage.base.errors import Refused
from moorage.wire.json import JSON_1_0, JSON_1_1
from moorage.wire.shapes import Input
from tests.unit.wire.exchange import REQUEST_ID, json_of, operation, request


def parse(body: bytes, name: str = "RegisterTaskDefinition", **headers: str) -> Input:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return JSON_1_1.parse(operation("ecs", name), request(headers=named), body)


def test_unknown_members_and_nulls_are_dropped() -> None:
    body = b'{"family":"web","Unknown":[1],"cpu":null,"containerDefinitions":[{"name":"a","later":{}}]}'
    assert parse(body) == {"family": "web", "containerDefinitions": [{"name": "a"}]}


def test_an_empty_body_is_an_empty_request() -> None:
    assert parse(b"", "ListClusters") == {}


def test_a_fraction_is_dropped_from_an_integer() -> None:
    assert parse(b'{"containerDefinitions":[{"memory":512.9}]}') == {"containerDefinitions": [{"memory": 512}]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"family":"\\ud800"}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "START_ARRAY can not be converted to a structure"),
        (b'"text"', "STRING_VALUE can not be converted to a structure"),
        (b'{"family":1}', r"NUMBER_VALUE can not be converted to a String \(at family\)"),
        (b'{"family":{}}', "START_OBJECT can not be converted to a String"),
        (b'{"containerDefinitions":{}}', "START_OBJECT can not be converted to a list"),
        (b'{"containerDefinitions":[null]}', r"NULL_VALUE .* a structure \(at containerDefinitions.1\)"),
        (
            b'{"containerDefinitions":[{},{"memory":"512"}]}',
            r"STRING_VALUE can not be converted to an Integer \(at containerDefinitions.2.memory\)",
        ),
        (b'{"containerDefinitions":[{"memory":2147483648}]}', "NUMBER_VALUE .* an Integer"),
        (b'{"containerDefinitions":[{"memory":1e300}]}', "NUMBER_VALUE .* an Integer"),
        (b'{"containerDefinitions":[{"essential":"true"}]}', "STRING_VALUE .* a Boolean"),
        (b'{"containerDefinitions":[{"dockerLabels":{"a":true}}]}', "TRUE_VALUE can not .*dockerLabels.a"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(body: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as raised:
        parse(body)
    assert (raised.value.code, raised.value.status) == ("SerializationException", 400)


def test_a_compressed_body_is_unpacked() -> None:
    body = gzip.compress(b'{"family":"web"}')
    assert parse(body, content_encoding="gzip") == {"family": "web"}


@pytest.mark.parametrize("body", [b"plain", gzip.compress(b'{"family":"web"}')[:-9], gzip.compress(b" " * 5_000_000)])
def test_a_compressed_body_that_is_broken_or_a_bomb_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match=r"gzip|cut short or unpacks") as raised:
        parse(body, content_encoding="gzip")
    assert raised.value.code == "SerializationException"


class Cluster(msgspec.Struct, rename="camel"):
    """An output as operations declare them."""

    cluster_name: str
    created_at: float | None = None
    tags: list[str] = []
    note: str | msgspec.UnsetType | None = msgspec.UNSET


def test_none_and_unset_are_left_out_wherever_they_stand() -> None:
    output = {"clusters": [Cluster(cluster_name="null"), Cluster(cluster_name="b", created_at=1.5)], "x": None}
    response = JSON_1_1.answer(operation("ecs", "DescribeClusters"), output, REQUEST_ID)
    assert json_of(response) == {
        "clusters": [
            {"clusterName": "null", "tags": []},
            {"clusterName": "b", "createdAt": 1.5, "tags": []},
        ]
    }
    assert dict(response.headers) == {
        "x-amzn-RequestId": REQUEST_ID,
        "Content-Type": "application/x-amz-json-1.1",
    }


def test_an_operation_without_output_answers_an_empty_body() -> None:
    assert JSON_1_1.answer(operation("logs", "CreateLogGroup"), None, REQUEST_ID).body == b""


def test_an_empty_output_is_an_empty_object() -> None:
    assert JSON_1_1.answer(operation("ecs", "TagResource"), None, REQUEST_ID).body == b"{}"


def test_a_refusal_has_the_code_in_body_and_header_and_the_models_status() -> None:
    error = Refused("What went wrong", code="ServerException")
    response = JSON_1_0.refuse(error, REQUEST_ID, operation("ecs", "RunTask"))
    assert response.status == 500
    assert json_of(response) == {"__type": "ServerException", "message": "What went wrong"}
    headers = dict(response.headers)
    assert headers["x-amzn-ErrorType"] == "ServerException"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"


def test_a_refusal_carries_the_members_that_the_model_has_in_it() -> None:
    error = Refused("In the way", code="ConflictException", members={"resourceIds": ("a", "b")})
    response = JSON_1_1.refuse(error, REQUEST_ID, operation("ecs", "RunTask"))
    assert json_of(response) == {"__type": "ConflictException", "message": "In the way", "resourceIds": ["a", "b"]}
