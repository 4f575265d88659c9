"""ListTasks: filters and pages."""

from __future__ import annotations

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import awsvpc, define, define_fargate, installation


def run(call: Call, **members: object) -> str:
    answer = ask(call, "RunTask", **{"taskDefinition": "web", **members})
    arn = answer["tasks"][0]["taskArn"]
    assert isinstance(arn, str)
    return arn


def listed(call: Call, **members: object) -> set[str]:
    return set(ask(call, "ListTasks", **members)["taskArns"])


def test_without_a_filter_those_that_should_be_running_are_told() -> None:
    call = installation()
    define(call)
    kept, ended = run(call), run(call)
    ask(call, "StopTask", task=ended)
    assert listed(call) == listed(call, desiredStatus="RUNNING") == {kept}
    assert listed(call, desiredStatus="STOPPED") == {ended}
    assert listed(call, desiredStatus="PENDING") == set()


def test_each_filter_keeps_its_own() -> None:
    call = installation(instances=2, hosts=1)
    define(call)
    define(call, "other")
    define_fargate(call)
    mine = run(call, startedBy="me")
    other = run(call, taskDefinition="other")
    fargate = run(call, taskDefinition="fargate", launchType="FARGATE", networkConfiguration=awsvpc())
    assert listed(call, startedBy="me") == listed(call, startedBy="me", desiredStatus="RUNNING") == {mine}
    assert listed(call, family="other") == {other}
    assert listed(call, launchType="FARGATE") == {fargate}
    where = call.store.view().tasks.get(mine)
    assert where is not None
    assert mine in listed(call, containerInstance=where.instance) <= {mine, other}


def test_pages_follow_one_another_and_hold_each_task_once() -> None:
    call = installation()
    define(call)
    all_of_them = {run(call) for _ in range(7)}
    seen: list[str] = []
    token = None
    while True:
        more = {} if token is None else {"nextToken": token}
        answer = ask(call, "ListTasks", maxResults=3, **more)
        seen += answer["taskArns"]
        token = answer.get("nextToken")
        if token is None:
            break
    assert len(seen) == 7
    assert set(seen) == all_of_them


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"desiredStatus": "DONE"}, "InvalidParameterException"),
        ({"launchType": "MOON"}, "InvalidParameterException"),
        ({"maxResults": 0}, "InvalidParameterException"),
        ({"maxResults": 101}, "InvalidParameterException"),
        ({"nextToken": "garbage"}, "InvalidParameterException"),
        ({"startedBy": "me", "family": "web"}, "InvalidParameterException"),
        ({"serviceName": "web"}, "ServiceNotFoundException"),
        ({"daemonName": "web"}, "InvalidParameterException"),
        ({"cluster": "nowhere"}, "ClusterNotFoundException"),
    ],
)
def test_what_cannot_be_is_refused(members: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(installation(), "ListTasks", **members)
    assert refused.value.code == code
