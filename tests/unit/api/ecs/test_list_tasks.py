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
        more: dict[str, object] = {} if token is None else {"nextToken": token}
        answer = ask(call, "ListTasks", maxResults=3, **more)
        seen += answer["taskArns"]
        token = answer.get("nextToken")
        if token is None:
            break
    assert len(seen) == 7
    assert set(seen) == all_of_them


def test_filters_hold_together() -> None:
    call = installation(instances=2)
    define(call)
    define(call, "other")
    tasks = [run(call, taskDefinition=family) for family in ("web", "other") * 4]
    records = {arn: call.store.view().tasks.get(arn) for arn in tasks}
    for host in call.store.view().container_instances:
        wanted = {arn for arn, one in records.items() if one and (one.instance, one.family) == (host.arn, "web")}
        assert listed(call, containerInstance=host.arn, family="web", launchType="EC2") == wanted
        assert listed(call, containerInstance=host.arn, family="web", launchType="FARGATE") == set()


def test_pages_stay_true_while_tasks_come_and_go() -> None:
    call = installation(instances=3)
    define(call)
    before = sorted(run(call) for _ in range(12))
    page = ask(call, "ListTasks", maxResults=4)
    assert page["taskArns"] == before[:4]
    for arn in (before[3], before[6]):  # the one that the token names, and one that is yet to come
        ask(call, "StopTask", task=arn)
    added = {run(call) for _ in range(5)}
    rest = ask(call, "ListTasks", nextToken=page["nextToken"])["taskArns"]
    assert set(before[4:]) - {before[6]} <= set(rest) <= set(before[4:]) - {before[6]} | added
    assert rest == sorted(rest)


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
