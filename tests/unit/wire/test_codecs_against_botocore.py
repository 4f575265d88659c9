"""Whatever botocore writes we read back, and whatever we write botocore reads back: over whole services."""

from __future__ import annotations

import random

import pytest

from moorage.wire.ec2 import EC2
from moorage.wire.json import JSON_1_1
from moorage.wire.protocol import Codec
from moorage.wire.query import QUERY
from tests.unit.wire.exchange import (
    REQUEST_ID,
    boto_body,
    boto_model,
    boto_reads,
    operation,
    plain,
    request,
    some_value,
    without_empty,
)

SERVICES: list[tuple[str, Codec, int]] = [
    ("ecs", JSON_1_1, 200),
    ("logs", JSON_1_1, 200),
    ("sts", QUERY, 200),
    ("iam", QUERY, 40),
    ("elbv2", QUERY, 200),
    ("autoscaling", QUERY, 40),
    ("cloudformation", QUERY, 40),
    ("sns", QUERY, 200),
    ("ec2", EC2, 120),
]
EVENT_STREAMS = {"StartLiveTail", "GetLogObject"}  # their answers are frames, not a document


def some_operations(service_name: str, most: int) -> list[str]:
    names = [name for name in boto_model(service_name).operation_names if name not in EVENT_STREAMS]
    return random.Random(1).sample(names, min(most, len(names)))


@pytest.mark.parametrize(("service_name", "codec", "most"), SERVICES, ids=[row[0] for row in SERVICES])
def test_every_request_that_botocore_writes_is_read_back(service_name: str, codec: Codec, most: int) -> None:
    for name in some_operations(service_name, most):
        model = boto_model(service_name).operation_model(name)
        if model.input_shape is None:
            continue
        sent = without_empty(some_value(model.input_shape, random.Random(name)))
        read = codec.parse(operation(service_name, name), request(), boto_body(model, sent))
        assert read == sent, name


@pytest.mark.parametrize(("service_name", "codec", "most"), SERVICES, ids=[row[0] for row in SERVICES])
def test_every_answer_is_read_back_by_botocore(service_name: str, codec: Codec, most: int) -> None:
    for name in some_operations(service_name, most):
        model = boto_model(service_name).operation_model(name)
        if model.output_shape is None:
            continue
        output = without_empty(some_value(model.output_shape, random.Random(name)))
        assert isinstance(output, dict)
        response = codec.answer(operation(service_name, name), output, REQUEST_ID)
        assert plain(boto_reads(model, response)) == output, name
