"""Requests that make no sense are refused with a client's error, in the protocol that they speak."""

from __future__ import annotations

import json
import socket

import pytest

from tests.node.platform.installation import Installation
from tests.node.platform.signing import Signed, ecs_call, exchange, form_call


def refused(call: Signed, status: int, code: str) -> str:
    """Send it; it must be refused so. The message."""
    answer = call.send()
    told = json.loads(answer.body)
    assert (answer.status, told["__type"].rpartition("#")[2]) == (status, code), answer
    message: str = told.get("message") or told["Message"]
    return message


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":1}{"b":2}', b"[" * 5000])
def test_json_that_is_none_is_refused(shared: Installation, body: bytes) -> None:
    refused(ecs_call(shared, "ListClusters", body), 400, "SerializationException")


@pytest.mark.parametrize(
    "body", [b'{"maxResults": "many"}', b'{"maxResults": [1]}', b'{"nextToken": 5}', b'{"nextToken": {}}']
)
def test_a_member_of_the_wrong_type_is_refused(shared: Installation, body: bytes) -> None:
    refused(ecs_call(shared, "ListClusters", body), 400, "SerializationException")


def test_members_that_aws_does_not_know_are_ignored(shared: Installation) -> None:
    answer = ecs_call(shared, "ListClusters", b'{"noSuchMember": {"deep": [1, 2]}}').send()
    assert answer.status == 200
    assert any("cluster/default" in arn for arn in json.loads(answer.body)["clusterArns"])


def test_members_that_moorage_does_not_carry_out_are_refused_by_name(shared: Installation) -> None:
    body = json.dumps({"taskDefinition": "x", "enableExecuteCommand": True, "volumeConfigurations": [{"name": "v"}]})
    message = refused(ecs_call(shared, "RunTask", body.encode()), 400, "InvalidParameterException")
    assert "not supported by Moorage" in message
    assert "enableExecuteCommand" in message or "volumeConfigurations" in message


@pytest.mark.parametrize("name", ["x" * 256, "with space", "", "é", "a/b", "x" * 100_000])
def test_names_of_clusters_and_families_are_bounded(shared: Installation, name: str) -> None:
    for operation, members in (
        ("CreateCluster", {"clusterName": name}),
        (
            "RegisterTaskDefinition",
            {"family": name, "containerDefinitions": [{"name": "a", "image": "a", "memory": 4}]},
        ),
    ):
        if operation == "CreateCluster" and not name:
            continue  # that is how one asks for `default`
        answer = ecs_call(shared, operation, json.dumps(members).encode()).send()
        assert answer.status == 400, answer
        assert json.loads(answer.body)["__type"].rpartition("#")[2] in (
            "InvalidParameterException",
            "ClientException",
        )


def test_an_operation_that_nobody_has_is_refused(shared: Installation) -> None:
    refused(ecs_call(shared, "MakeCoffee"), 400, "UnknownOperationException")


def test_an_operation_that_only_aws_has_is_refused_by_name(shared: Installation) -> None:
    message = refused(ecs_call(shared, "CreateCapacityProvider"), 400, "UnknownOperationException")
    assert "CreateCapacityProvider" in message


def test_a_service_that_is_not_served_is_refused(shared: Installation) -> None:
    key_id, secret = shared.key()
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}
    answer = Signed(shared.endpoint, key_id, secret, service="dynamodb", headers=headers).send()
    assert 400 <= answer.status < 500


def test_ec2_refuses_in_its_own_xml(shared: Installation) -> None:
    for action in ("RunInstances", "MakeCoffee"):
        answer = form_call(shared, "ec2", "2016-11-15", action).send()
        assert answer.status == 400
        assert "<Response><Errors><Error><Code>" in answer.body.replace("\n", "")
        assert "<RequestID>" in answer.body
    wrong = form_call(
        shared, "ec2", "2016-11-15", "DescribeSubnets", **{"Filter.1.Name": "no-such-filter", "Filter.1.Value.1": "x"}
    )
    assert "<Code>InvalidParameterValue</Code>" in wrong.send().body


def test_sts_refuses_in_the_query_protocols_xml(shared: Installation) -> None:
    for action in ("AssumeRole", "MakeCoffee"):
        answer = form_call(shared, "sts", "2011-06-15", action).send()
        assert answer.status == 400, answer
        assert "<ErrorResponse" in answer.body
        assert "<Code>InvalidAction</Code>" in answer.body


def test_a_body_beyond_all_bounds_is_refused_and_the_server_lives(shared: Installation) -> None:
    answer = ecs_call(shared, "ListClusters", b" " * (20 << 20) + b"{}").send()
    assert answer.status == 413
    assert shared.ecs.list_clusters()["clusterArns"]


def test_paths_and_methods_that_lead_nowhere_are_refused(shared: Installation) -> None:
    host = ecs_call(shared, "ListClusters").host
    for method, path in (("GET", "/"), ("PUT", "/"), ("POST", "/no/such/path"), ("DELETE", "/x")):
        assert 400 <= exchange(host, method, path, {"host": host}, b"").status < 500


def test_what_is_not_http_is_answered_and_left(shared: Installation) -> None:
    port = shared.settings["port"]
    for noise in (b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(noise)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(4096)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
