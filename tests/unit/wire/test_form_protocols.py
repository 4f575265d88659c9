"""query and ec2: what is read, what is refused, what is written."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from moorage.wire.ec2 import EC2
from moorage.wire.query import QUERY
from moorage.wire.shapes import Input
from tests.unit.wire.exchange import REQUEST_ID, operation, request


def ec2(body: str, name: str = "DescribeVpcs") -> Input:
    return EC2.parse(operation("ec2", name), request(), body.encode())


def query(body: str, name: str = "AssumeRole", service: str = "sts") -> Input:
    return QUERY.parse(operation(service, name), request(), body.encode())


def test_an_ec2_form_is_read_by_its_numbers_and_not_by_its_order() -> None:
    body = "Filter.1.Value.2=b&Filter.1.Name=vpc-id&Filter.1.Value.1=a&VpcId.10=z&VpcId.9=y&MaxResults=5&DryRun=true"
    assert ec2(body) == {
        "Filters": [{"Name": "vpc-id", "Values": ["a", "b"]}],
        "VpcIds": ["y", "z"],
        "MaxResults": 5,
        "DryRun": True,
    }


def test_a_query_form_has_member_between_a_list_and_its_numbers() -> None:
    body = "RoleArn=r&Tags.member.1.Key=k&Tags.member.1.Value=&PolicyArns=&DurationSeconds=900"
    assert query(body) == {
        "RoleArn": "r",
        "Tags": [{"Key": "k", "Value": ""}],
        "PolicyArns": [],
        "DurationSeconds": 900,
    }


def test_a_query_map_is_read_from_its_entries() -> None:
    body = "Name=n&Attributes.entry.1.key=a&Attributes.entry.1.value=1"
    assert query(body, "CreateTopic", "sns") == {"Name": "n", "Attributes": {"a": "1"}}


def test_unknown_parameters_are_dropped() -> None:
    assert ec2("Action=DescribeVpcs&Version=2016-11-15&Filter.1.Colour=red&Nonsense.1=x") == {"Filters": [{}]}


def test_query_string_and_form_are_read_together() -> None:
    read = EC2.parse(operation("ec2", "DescribeVpcs"), request(query="MaxResults=7"), b"VpcId.1=a")
    assert read == {"MaxResults": 7, "VpcIds": ["a"]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("MaxResults=five", "Invalid value 'five' for MaxResults. It must be an integer."),
        ("MaxResults=", "Invalid value '' for MaxResults. It must be an integer."),
        ("MaxResults=" + "9" * 5000, "It must be an integer."),
        ("MaxResults=²", "It must be an integer."),
        ("MaxResults=99999999999", "It must be an integer."),
        ("DryRun=maybe", "Invalid value 'maybe' for DryRun. It must be a boolean."),
        ("Filter.1.Name.1=x", "Invalid value 'a structure' for Filter.1.Name. It must be a string."),
    ],
)
def test_an_ec2_value_of_another_type_is_refused_with_its_place(body: str, sentence: str) -> None:
    with pytest.raises(Refused) as raised:
        ec2(body)
    assert raised.value.message.endswith(sentence)
    assert (raised.value.code, raised.value.status) == ("InvalidParameterValue", 400)


def test_a_query_value_of_another_type_is_malformed_input() -> None:
    with pytest.raises(Refused, match="'soon' at 'DurationSeconds' is not an integer") as raised:
        query("DurationSeconds=soon")
    assert raised.value.code == "MalformedInput"


def test_a_name_without_end_is_refused() -> None:
    with pytest.raises(Refused, match="nested too deeply") as raised:
        ec2("a" + ".1" * 100_000 + "=x")
    assert raised.value.code == "MalformedQueryString"


def text(body: object) -> str:
    assert isinstance(body, bytes)
    return body.decode()


def no_tags() -> list[str]:
    return []


def test_an_ec2_answer_is_written_as_ec2_writes_it() -> None:
    vpc = {"VpcId": "vpc-1", "IsDefault": True, "CidrBlock": None, "Tags": no_tags()}
    output = {"Vpcs": [vpc], "NextToken": None}
    response = EC2.answer(operation("ec2", "DescribeVpcs"), output, REQUEST_ID)
    assert dict(response.headers)["Content-Type"] == "text/xml;charset=UTF-8"
    assert text(response.body) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{REQUEST_ID}</requestId><vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault>"
        "<tagSet></tagSet></item></vpcSet></DescribeVpcsResponse>"
    )


def test_an_ec2_operation_without_output_says_true() -> None:
    assert "<return>true</return>" in text(EC2.answer(operation("ec2", "DeleteVpc"), None, REQUEST_ID).body)


def test_a_query_answer_is_written_as_query_writes_it() -> None:
    output = {"Account": "1", "Arn": "a<&>\x00b", "UserId": "u"}
    response = QUERY.answer(operation("sts", "GetCallerIdentity"), output, REQUEST_ID)
    assert text(response.body) == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<Account>1</Account><Arn>a&lt;&amp;&gt;\ufffdb</Arn><UserId>u</UserId></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_timestamps_are_written_in_iso_8601() -> None:
    output = {"Credentials": {"Expiration": 1_769_860_800.25}}
    body = text(QUERY.answer(operation("sts", "AssumeRole"), output, REQUEST_ID).body)
    assert "<Expiration>2026-01-31T12:00:00.250Z</Expiration>" in body


def test_a_member_that_the_model_does_not_have_stops_the_answer() -> None:
    with pytest.raises(AssertionError, match="Colour is no member of DescribeVpcsResult"):
        EC2.answer(operation("ec2", "DescribeVpcs"), {"Colour": "red"}, REQUEST_ID)


def test_an_ec2_refusal_is_written_as_ec2_writes_it() -> None:
    response = EC2.refuse(Refused("no <vpc>", code="InvalidVpcID.NotFound"), REQUEST_ID)
    assert response.status == 400
    assert text(response.body).endswith(
        "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>no &lt;vpc&gt;</Message></Error>"
        f"</Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
    )


@pytest.mark.parametrize(
    ("code", "status", "whose"), [("NoSuchEntity", 404, "Sender"), ("ServiceFailure", 500, "Receiver")]
)
def test_a_query_refusal_has_the_models_status_and_says_whose_fault(code: str, status: int, whose: str) -> None:
    response = QUERY.refuse(Refused("why", code=code), REQUEST_ID, operation("iam", "GetRole"))
    assert response.status == status
    assert text(response.body) == (
        f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>{whose}</Type>'
        f"<Code>{code}</Code><Message>why</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )
