"""StopTask: what is written when somebody wants a task to end."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import define, installation, report_stopped
from tests.unit.records import SCOPE
from tests.unit.support import later


def test_a_task_is_wanted_stopped_for_the_reason_given() -> None:
    call = installation()
    define(call)
    arn = ask(call, "RunTask", taskDefinition="web")["tasks"][0]["taskArn"]
    task = ask(later(call, 5), "StopTask", task=arn.rpartition("/")[2], reason="enough")["task"]
    assert (task["desiredStatus"], task["lastStatus"]) == ("STOPPED", "PENDING")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert task["version"] == 2


def test_who_gives_no_reason_gets_ecs_own() -> None:
    call = installation()
    define(call)
    arn = ask(call, "RunTask", taskDefinition="web")["tasks"][0]["taskArn"]
    assert ask(call, "StopTask", task=arn)["task"]["stoppedReason"] == "Task stopped by user"


def test_stopping_again_changes_nothing() -> None:
    call = installation()
    define(call)
    arn = ask(call, "RunTask", taskDefinition="web")["tasks"][0]["taskArn"]
    first = ask(call, "StopTask", task=arn, reason="first")
    assert ask(call, "StopTask", task=arn, reason="second") == first


def test_a_stopped_task_is_answered_as_it_is() -> None:
    call = installation()
    define(call)
    arn = ask(call, "RunTask", taskDefinition="web")["tasks"][0]["taskArn"]
    report_stopped(call, arn)
    task = ask(call, "StopTask", task=arn)["task"]
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "EssentialContainerExited")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"task": "0" * 32}, "The referenced task was not found."),
        ({"task": "x"}, "taskId length should be one of [32,36]"),
        ({"task": SCOPE.arn("ecs", "task/other/" + "0" * 32)}, "Identifier is for cluster other"),
        ({"task": "arn:aws:s3:::x"}, "Invalid identifier"),
        ({"task": "0" * 32, "reason": "x" * 1025}, "reason must be at most 1024"),
    ],
)
def test_what_cannot_be_is_refused(members: dict[str, object], message: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(installation(), "StopTask", **members)
    assert refused.value.code == "InvalidParameterException"
    assert message in refused.value.message
