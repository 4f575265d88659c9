"""The cluster query language where callers meet it: a definition's constraints, and lists of instances."""

from __future__ import annotations

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import define, drain, installation


def in_zone(letter: str) -> dict[str, str]:
    return {"type": "memberOf", "expression": f"attribute:ecs.availability-zone == us-east-1{letter}"}


def listed(call: Call, **members: object) -> list[int]:
    """The numbers of the instances that are told."""
    arns = ask(call, "ListContainerInstances", **members)["containerInstanceArns"]
    return [int(arn.rpartition("/")[2], 16) for arn in arns]


def test_a_definitions_constraints_hold_for_all_its_tasks() -> None:
    call = installation(instances=3)
    define(call, placementConstraints=[in_zone("b")])
    tasks = ask(call, "RunTask", taskDefinition="web", count=3)["tasks"]
    assert {task["availabilityZone"] for task in tasks} == {"us-east-1b"}
    both = ask(call, "RunTask", taskDefinition="web", placementConstraints=[in_zone("a")])
    assert both["failures"][0]["reason"] == "MemberOf placement constraint unsatisfied."


def test_a_definitions_constraints_are_told() -> None:
    call = installation()
    define(call, placementConstraints=[in_zone("b")])
    told = ask(call, "DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]
    assert told["placementConstraints"] == [in_zone("b")]


def test_who_chooses_the_instances_is_held_to_the_definition_too() -> None:
    call = installation(instances=2)
    define(call, placementConstraints=[in_zone("b")])
    names = [f"{number:032x}" for number in range(2)]
    answer = ask(call, "StartTask", taskDefinition="web", containerInstances=names)
    assert [task["availabilityZone"] for task in answer["tasks"]] == ["us-east-1b"]
    assert [one["reason"] for one in answer["failures"]] == ["MemberOf placement constraint unsatisfied."]


def test_an_expression_that_cannot_be_read_registers_nothing() -> None:
    call = installation()
    with pytest.raises(Refused, match="ClientException: The expression is not valid at character"):
        define(call, placementConstraints=[{"type": "memberOf", "expression": "attribute:x =="}])
    assert not len(call.store.view().task_definitions)


def test_instances_are_listed_by_an_expression() -> None:
    call = installation(instances=3)
    define(call)
    ask(call, "StartTask", taskDefinition="web", containerInstances=[f"{2:032x}"], group="front")
    assert listed(call, filter="attribute:ecs.availability-zone == us-east-1b") == [1]
    assert listed(call, filter="task:group == front") == [2]
    assert listed(call, filter="runningTasksCount < 1 and agentConnected == true") == [0, 1]
    assert listed(call) == [0, 1, 2]


def test_an_expression_and_a_status_hold_together() -> None:
    call = installation(instances=2)
    drain(call, next(iter(call.store.view().container_instances)))
    assert listed(call, filter="agentConnected == true", status="DRAINING") == [0]
    assert listed(call, filter="agentConnected == false", status="DRAINING") == []


@pytest.mark.parametrize("text", ["", "colour == red", "agentConnected ==", "(" * 99, "x" * 2001])
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(installation(), "ListContainerInstances", filter=text)
