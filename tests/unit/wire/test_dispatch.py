"""Which service and operation a request is for."""

from __future__ import annotations

import pytest

from moorage.wire.dispatch import Dispatcher, Misdirected, Target
from tests.unit.wire.exchange import REQUEST_ID, request

FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.1"
DISPATCHER = Dispatcher(["ecs", "ec2", "logs", "sts", "cloudtrail", "elb", "elbv2"])


def scope(service: str) -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIA/20260131/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )


def by_target(target: str) -> Target:
    return DISPATCHER.dispatch(request(headers={"x-amz-target": target, "content-type": JSON}), b"{}")


def by_form(body: str, service: str = "sts") -> Target:
    headers = {"content-type": FORM, "authorization": scope(service)}
    return DISPATCHER.dispatch(request(headers=headers), body.encode())


def placed(target: Target) -> tuple[str, str, str]:
    return target.protocol.family, target.service.name, target.operation.name


def test_a_json_request_is_placed_by_its_target_header() -> None:
    target = by_target("AmazonEC2ContainerServiceV20141113.RunTask")
    assert placed(target) == ("json", "ecs", "RunTask")


def test_a_target_is_split_at_its_last_dot() -> None:
    target = by_target("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")
    assert placed(target) == ("json", "cloudtrail", "LookupEvents")


def test_a_form_is_placed_by_action_and_version() -> None:
    assert placed(by_form("Action=GetCallerIdentity&Version=2011-06-15")) == ("query", "sts", "GetCallerIdentity")
    assert placed(by_form("Action=DescribeVpcs&Version=2016-11-15", "ec2")) == ("ec2", "ec2", "DescribeVpcs")


@pytest.mark.parametrize(("version", "name"), [("2015-12-01", "elbv2"), ("2012-06-01", "elb")])
def test_services_that_share_a_signing_name_are_told_apart_by_version(version: str, name: str) -> None:
    target = by_form(f"Action=DescribeLoadBalancers&Version={version}", "elasticloadbalancing")
    assert target.service.name == name


def test_a_form_may_stand_in_the_query_string_of_a_presigned_get() -> None:
    query = (
        "Action=GetCallerIdentity&Version=2011-06-15"
        "&X-Amz-Credential=AKIA%2F20260131%2Fus-east-1%2Fsts%2Faws4_request"
    )
    target = DISPATCHER.dispatch(request(method="GET", query=query), b"")
    assert placed(target) == ("query", "sts", "GetCallerIdentity")


def test_an_unsigned_form_is_placed_by_its_version() -> None:
    body = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    target = DISPATCHER.dispatch(request(headers={"content-type": FORM}), body)
    assert placed(target) == ("query", "sts", "AssumeRoleWithWebIdentity")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("AmazonEC2ContainerServiceV20141113.Nonsense", "The action Nonsense is not valid"),
        ("AmazonEC2ContainerServiceV20141113", "names no service"),
        ("", "names no service"),
        ("Unheard.Of", "names no service that is known here: 'Unheard'"),
        ("TrentService.Encrypt", "The service kms is not offered by this installation"),
    ],
)
def test_a_json_request_for_nothing_here_is_refused_in_json_with_400(target: str, sentence: str) -> None:
    with pytest.raises(Misdirected, match=sentence) as raised:
        by_target(target)
    response = raised.value.protocol.refuse(raised.value.refusal, REQUEST_ID)
    assert response.status == 400
    assert dict(response.headers)["x-amzn-ErrorType"] == "UnknownOperationException"
    assert isinstance(response.body, bytes)
    assert b'"__type":"UnknownOperationException"' in response.body


@pytest.mark.parametrize(
    ("body", "service", "family"),
    [
        ("Action=Nonsense&Version=2011-06-15", "sts", "query"),
        ("Action=Nonsense&Version=2016-11-15", "ec2", "ec2"),
        ("Action=DescribeVpcs&Version=1999-01-01", "ec2", "ec2"),
        ("Action=GetCallerIdentity", "sts", "query"),
        ("Action=GetRole&Version=2010-05-08", "iam", "query"),
    ],
)
def test_a_form_for_nothing_here_is_refused_as_an_invalid_action(body: str, service: str, family: str) -> None:
    with pytest.raises(Misdirected) as raised:
        by_form(body, service)
    refusal = raised.value.refusal
    assert (raised.value.protocol.family, refusal.code, refusal.status) == (family, "InvalidAction", 400)


def test_a_stray_path_is_refused_with_404() -> None:
    with pytest.raises(Misdirected) as raised:
        DISPATCHER.dispatch(request(method="GET", path="/favicon.ico"), b"")
    assert raised.value.refusal.status == 404


def test_cbor_is_refused_while_nobody_here_speaks_it() -> None:
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    with pytest.raises(Misdirected, match="smithy-rpc-v2-cbor") as raised:
        DISPATCHER.dispatch(request(path=path, headers={"smithy-protocol": "rpc-v2-cbor"}), b"\xa0")
    assert raised.value.refusal.status == 400


@pytest.mark.parametrize("body", [b"Action=\xff\xfe", b"a&" * 20_000])
def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Misdirected) as raised:
        DISPATCHER.dispatch(request(headers={"content-type": FORM}), body)
    assert (raised.value.refusal.code, raised.value.refusal.status) == ("MalformedQueryString", 400)
