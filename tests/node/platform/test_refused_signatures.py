"""Whoever cannot prove who he is gets AWS's own error for it, in the protocol that he speaks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.node.platform.installation import Installation
from tests.node.platform.signing import Answer, ecs_call, exchange, form_call

STS = ("sts", "2011-06-15", "GetCallerIdentity")
EC2 = ("ec2", "2016-11-15", "DescribeVpcs")


def kind(answer: Answer) -> str:
    """The error's code, out of JSON or XML."""
    if answer.body.startswith("{"):
        found: str = json.loads(answer.body)["__type"].rpartition("#")[2]
        return found
    return answer.body.partition("<Code>")[2].partition("</Code>")[0]


def test_the_right_signature_is_let_in(shared: Installation) -> None:
    assert ecs_call(shared, "ListClusters").send().status == 200
    assert form_call(shared, *STS).send().status == 200
    assert form_call(shared, *EC2).send().status == 200


@pytest.mark.parametrize(
    ("fault", "in_json", "in_query", "in_ec2"),
    [
        ({"key_id": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"),
        ({"secret": "x" * 40}, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"),
        ({"at": timedelta(minutes=-16)}, "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"),
        ({"at": timedelta(minutes=16)}, "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"),
        ({"scope_day": "20200101"}, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"),
        ({"service": "s3"}, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"),
    ],
    ids=["unknown key", "wrong secret", "too old", "from the future", "another day's scope", "another service"],
)
def test_each_fault_has_its_own_error(
    shared: Installation, fault: dict[str, str | timedelta], in_json: str, in_query: str, in_ec2: str
) -> None:
    calls = (ecs_call(shared, "ListClusters"), form_call(shared, *STS), form_call(shared, *EC2))
    for call, code in zip(calls, (in_json, in_query, in_ec2), strict=True):
        wrong = {name: value if isinstance(value, str) else call.at + value for name, value in fault.items()}
        answer = replace(call, **wrong).send()  # type: ignore[arg-type]  # one member at a time
        assert 400 <= answer.status < 500
        assert kind(answer) in (code, "AuthFailure" if call.service == "ec2" else code), answer


def test_a_changed_body_is_noticed(shared: Installation) -> None:
    answer = ecs_call(shared, "ListClusters").send(b'{"maxResults": 1}')
    assert (answer.status, kind(answer)) == (400, "InvalidSignatureException")


def test_a_region_that_is_not_served_is_refused(shared: Installation) -> None:
    answer = replace(ecs_call(shared, "ListClusters"), region="eu-west-1").send()
    assert 400 <= answer.status < 500
    assert "eu-west-1" in answer.body


def test_a_captured_signature_does_not_open_another_operation(shared: Installation) -> None:
    call = ecs_call(shared, "ListClusters")
    own = {"host": call.host, "x-amz-date": call.at.strftime("%Y%m%dT%H%M%SZ")} | call.headers
    signature = call.signature(own, "", call.body)
    names = ";".join(sorted(own))
    own["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={call.key_id}/{call.scope()}, SignedHeaders={names}, Signature={signature}"
    )
    assert exchange(call.host, "POST", "/", own, call.body).status == 200
    own["x-amz-target"] = own["x-amz-target"].replace("ListClusters", "ListTasks")
    assert kind(exchange(call.host, "POST", "/", own, call.body)) == "InvalidSignatureException"


def test_unsigned_requests_are_refused(shared: Installation) -> None:
    call = ecs_call(shared, "ListClusters")
    answer = exchange(call.host, "POST", "/", {"host": call.host} | call.headers, b"{}")
    assert kind(answer) == "MissingAuthenticationTokenException"
    form = form_call(shared, *EC2)
    answer = exchange(form.host, "POST", "/", {"host": form.host} | form.headers, form.body)
    assert 400 <= answer.status < 500
    assert kind(answer) in ("AuthFailure", "MissingAuthenticationToken")


def test_a_presigned_url_tells_who_calls_until_it_expires(shared: Installation) -> None:
    call = replace(form_call(shared, *STS), query="Action=GetCallerIdentity&Version=2011-06-15")
    answer = call.get(call.presigned(60))
    assert answer.status == 200
    assert ":root</Arn>" in answer.body
    late = replace(call, at=datetime.now(UTC) - timedelta(seconds=61))
    assert late.get(late.presigned(60)).status == 403
    forged = call.presigned(60).replace("Expires=60", "Expires=6000")
    assert kind(call.get(forged)) == "SignatureDoesNotMatch"


def test_the_registry_asks_for_the_key_too(shared: Installation) -> None:
    host = ecs_call(shared, "ListClusters").host
    answer = exchange(host, "GET", "/v2/", {"host": host}, b"")
    assert answer.status == 401
    assert "www-authenticate" in {name.lower() for name in answer.headers}
