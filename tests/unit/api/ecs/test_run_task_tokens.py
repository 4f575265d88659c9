"""RunTask with a client token: asked again, answered again, run once."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from moorage.base.limits import CLIENT_TOKEN_KEPT_S
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import add, define, installation
from tests.unit.support import later

RUN = {"taskDefinition": "web", "count": 2, "clientToken": "once"}


def test_the_same_request_again_is_answered_with_the_same_tasks() -> None:
    call = installation()
    define(call)
    first = ask(call, "RunTask", **RUN)
    again = ask(later(call, 60), "RunTask", **RUN)
    assert again == first
    assert len(call.store.view().tasks) == 2


def test_another_request_with_the_token_is_a_conflict() -> None:
    call = installation()
    define(call)
    first = ask(call, "RunTask", **RUN)
    with pytest.raises(Refused) as refused:
        ask(call, "RunTask", **{**RUN, "count": 1})
    assert refused.value.code == "ConflictException"
    assert list(refused.value.members["resourceIds"]) == [task["taskArn"] for task in first["tasks"]]


def test_a_token_is_forgotten_after_a_day() -> None:
    call = installation()
    define(call)
    ask(call, "RunTask", **RUN)
    ask(later(call, CLIENT_TOKEN_KEPT_S), "RunTask", **{**RUN, "count": 1})
    assert len(call.store.view().tasks) == 3


def test_a_request_that_started_nothing_may_be_tried_again() -> None:
    call = installation(instances=0)
    add(call, "default", 0, memory=1)
    define(call)
    assert ask(call, "RunTask", **RUN)["tasks"] == []
    add(call, "default", 1)
    assert len(ask(call, "RunTask", **RUN)["tasks"]) == 2


def test_without_a_token_each_request_runs_its_own() -> None:
    call = installation()
    define(call)
    for _ in range(2):
        ask(call, "RunTask", taskDefinition="web")
    assert len(call.store.view().tasks) == 2
