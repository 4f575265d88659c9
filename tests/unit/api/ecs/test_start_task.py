"""StartTask: the caller chooses the instances."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import add, awsvpc, define, drain, installation
from tests.unit.records import SCOPE


def test_one_task_on_each_instance_that_is_named() -> None:
    call = installation(instances=3)
    define(call)
    names = [f"{0:032x}", SCOPE.arn("ecs", f"container-instance/default/{2:032x}")]
    answer = ask(call, "StartTask", taskDefinition="web", containerInstances=names, startedBy="me")
    assert [task["containerInstanceArn"].rpartition("/")[2] for task in answer["tasks"]] == [
        f"{0:032x}",
        f"{2:032x}",
    ]
    assert answer["failures"] == []


def test_each_instance_that_cannot_has_its_own_reason() -> None:
    call = installation(instances=0)
    full = add(call, "default", 1, memory=10)
    draining = add(call, "default", 2)
    drain(call, draining)
    define(call)
    missing = SCOPE.arn("ecs", f"container-instance/default/{9:032x}")
    names = [full.arn, draining.arn, missing]
    answer = ask(call, "StartTask", taskDefinition="web", containerInstances=names)
    assert answer["tasks"] == []
    assert [(one["arn"], one["reason"]) for one in answer["failures"]] == [
        (full.arn, "RESOURCE:MEMORY"),
        (draining.arn, "INACTIVE"),
        (missing, "MISSING"),
    ]


def test_the_interface_lies_in_the_instances_zone() -> None:
    call = installation(instances=2)
    define(call, mode="awsvpc")
    names = [f"{number:032x}" for number in range(2)]
    answer = ask(
        call, "StartTask", taskDefinition="web", containerInstances=names, networkConfiguration=awsvpc("b", "c")
    )
    assert [task["availabilityZone"] for task in answer["tasks"]] == ["us-east-1b"]
    assert [one["reason"] for one in answer["failures"]] == ["LOCATION"]


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"containerInstances": []}, "ClientException", "Container Instances cannot be empty."),
        ({"containerInstances": [str(n) for n in range(11)]}, "InvalidParameterException", "At most 10"),
        ({"startedBy": "x" * 37}, "InvalidParameterException", "at most 36"),
        (
            {"containerInstances": [SCOPE.arn("ecs", "container-instance/other/x")]},
            "InvalidParameterException",
            "Identifier is for cluster other. Your cluster is default",
        ),
    ],
)
def test_what_cannot_be_is_refused(members: dict[str, object], code: str, message: str) -> None:
    call = installation()
    define(call)
    with pytest.raises(Refused) as refused:
        ask(call, "StartTask", **{"taskDefinition": "web", "containerInstances": [f"{0:032x}"], **members})
    assert refused.value.code == code
    assert message in refused.value.message
