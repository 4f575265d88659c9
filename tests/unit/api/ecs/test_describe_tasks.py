"""DescribeTasks."""

from __future__ import annotations

import json

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

from moorage.api.ecs.task_lookup import DescribeTasksRequest, describe_tasks
from moorage.base.errors import Refused
from moorage.wire.json import encode
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import awsvpc, define, define_fargate, installation
from tests.unit.records import SCOPE


def test_tasks_are_found_by_id_and_by_arn_and_each_is_told_once() -> None:
    call = installation()
    define(call)
    first, second = (task["taskArn"] for task in ask(call, "RunTask", taskDefinition="web", count=2)["tasks"])
    answer = ask(call, "DescribeTasks", tasks=[second, first.rpartition("/")[2], second])
    assert [task["taskArn"] for task in answer["tasks"]] == [second, first]
    assert answer["failures"] == []


def test_unknown_tasks_are_missing() -> None:
    answer = ask(installation(), "DescribeTasks", tasks=["0" * 32])
    assert answer == {
        "tasks": [],
        "failures": [{"arn": SCOPE.arn("ecs", "task/default/" + "0" * 32), "reason": "MISSING"}],
    }


def test_tags_are_told_when_asked_for() -> None:
    call = installation()
    define(call)
    tags = [{"key": "a", "value": ""}]
    arn = ask(call, "RunTask", taskDefinition="web", tags=tags)["tasks"][0]["taskArn"]
    assert ask(call, "DescribeTasks", tasks=[arn])["tasks"][0]["tags"] == []
    assert ask(call, "DescribeTasks", tasks=[arn], include=["TAGS"])["tasks"][0]["tags"] == tags


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "Tasks cannot be empty."),
        ({"tasks": ["0" * 32] * 101}, "At most 100 tasks"),
        ({"tasks": ["x"]}, "taskId length should be one of [32,36]"),
        ({"tasks": ["0" * 32], "include": ["ALL"]}, "The include value 'ALL' is not valid"),
    ],
)
def test_what_cannot_be_is_refused(members: dict[str, object], message: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(installation(), "DescribeTasks", **members)
    assert refused.value.code == "InvalidParameterException"
    assert message in refused.value.message


def unknown(value: object, shape: Shape, path: str = "") -> list[str]:
    """The paths of members of an answer that AWS's model does not have."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return [
            found
            for name, inner in value.items()
            for found in (
                unknown(inner, shape.members[name], f"{path}.{name}") if name in shape.members else [f"{path}.{name}"]
            )
        ]
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [found for inner in value for found in unknown(inner, shape.member, path)]
    return []


def test_an_answer_has_the_models_members_and_no_null() -> None:
    call = installation(hosts=1)
    define(call)
    define_fargate(call)
    run = {"taskDefinition": "fargate", "launchType": "FARGATE", "networkConfiguration": awsvpc()}
    arns = [ask(call, "RunTask", **members)["tasks"][0]["taskArn"] for members in ({"taskDefinition": "web"}, run)]
    model = botocore.session.get_session().get_service_model("ecs").operation_model("DescribeTasks")
    raw = encode(describe_tasks(call, DescribeTasksRequest(tasks=tuple(arns))))
    assert b"null" not in raw
    assert unknown(json.loads(raw), model.output_shape) == []
