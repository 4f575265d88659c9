"""The model's constraints, in each service's own words."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from moorage.wire.catalogue import KNOWN
from moorage.wire.constraints import compiled_pattern
from moorage.wire.shapes import Input
from moorage.wire.validate import validate
from tests.unit.wire.exchange import operation, service


def refused(service_name: str, name: str, request: Input) -> tuple[str, str]:
    with pytest.raises(Refused) as raised:
        validate(operation(service_name, name), request)
    assert raised.value.status == 400
    return raised.value.code, raised.value.message


def test_a_request_that_keeps_everything_passes() -> None:
    validate(operation("logs", "CreateLogGroup"), {"logGroupName": "/ecs/web", "tags": {"a b": "ü"}})
    validate(operation("ecs", "RunTask"), {"taskDefinition": "web:1", "count": 3})
    validate(operation("ec2", "DescribeVpcs"), {"MaxResults": 5})


def test_logs_tells_all_violations_at_once() -> None:
    code, message = refused("logs", "PutLogEvents", {"logGroupName": "no spaces", "logStreamName": ""})
    assert code == "InvalidParameterException"
    assert message == (
        "3 validation errors detected: "
        "Value null at 'logEvents' failed to satisfy constraint: Member must not be null; "
        "Value 'no spaces' at 'logGroupName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+; "
        "Value '' at 'logStreamName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_an_element_of_a_list_is_named_by_number_and_member() -> None:
    events: Input = {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": ""}]}
    assert "at 'logEvents.1.member.message'" in refused("logs", "PutLogEvents", events)[1]


def test_ranges_and_enumerations_are_checked_where_the_service_does() -> None:
    message = refused("logs", "DescribeLogStreams", {"orderBy": "Size", "limit": 51})[1]
    assert "Value 'Size' at 'orderBy'" in message
    assert "Member must satisfy enum value set: [LogStreamName, LastEventTime]" in message
    assert (
        "Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50"
        in message
    )


def test_ecs_minds_what_is_missing_and_nothing_else() -> None:
    assert refused("ecs", "RunTask", {}) == ("InvalidParameterException", "TaskDefinition can not be blank.")
    assert refused("ecs", "RegisterTaskDefinition", {"family": "f"}) == (
        "ClientException",
        "ContainerDefinitions can not be blank.",
    )
    validate(operation("ecs", "RunTask"), {"taskDefinition": "web", "launchType": "NONSENSE", "count": -1})


def test_ec2_names_the_missing_parameter() -> None:
    message = "The request must contain the parameter VpcId"
    assert refused("ec2", "DeleteVpc", {}) == ("MissingParameter", message)


def test_ec2_tells_a_number_out_of_range() -> None:
    assert refused("ec2", "DescribeVpcs", {"MaxResults": 1}) == (
        "InvalidParameterValue",
        "Value ( 1 ) for parameter maxResults is invalid. Expecting a value greater than or equal to 5.",
    )


def test_query_services_answer_a_validation_error() -> None:
    code, message = refused("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::1:role/r" + "x" * 20})
    assert code == "ValidationError"
    assert message == (
        "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_a_secret_and_a_long_value_are_not_repeated() -> None:
    message = refused("secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": ""})[1]
    assert "Value '***' at 'secretString'" in message
    assert len(refused("logs", "CreateLogGroup", {"logGroupName": "x" * 100_000})[1]) < 1000


def test_nearly_every_pattern_of_every_service_can_be_checked() -> None:
    patterns = set()
    for known in KNOWN:
        for name in service(known.name).operation_names:
            patterns |= {shape.pattern for shape in operation(known.name, name).input.shapes() if shape.pattern}
    unchecked = {pattern for pattern in patterns if compiled_pattern(pattern) is None}
    # Wrong even as Java: a range from a class to a letter.
    assert unchecked <= {r"[\w-_]*", r"^arn:aws[a-z0-9-]*:iam::\d{12}:role\/[\w-\/.@+=,]{1,1017}$"}
