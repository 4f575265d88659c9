"""The cluster query language."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from moorage.model.node import Node
from moorage.rules.query import Asked, InvalidExpression, compiled
from tests.unit.rules.nodes import node

PLAIN = node(1, zone="us-east-1a", instance_type="t3.small", rank="5", os_type="linux")
NODE = replace(PLAIN, instance=replace(PLAIN.instance, agent_version="1.51.0"), tasks=3)


def true_of(expression: str, one: Node = NODE) -> bool:
    return compiled(expression)(Asked(one, lambda _node: ["service:web", "family:batch"]))


@pytest.mark.parametrize(
    "expression",
    [
        "attribute:ecs.instance-type == t3.small",
        "attribute:ecs.instance-type==t3.small",
        'attribute:ecs.instance-type equals "t3.small"',
        "attribute:ecs.instance-type != 't3.large'",
        "attribute:ecs.instance-type =~ t3.*",
        "attribute:ecs.instance-type =~ m5.*|t[23]\\.small",
        "attribute:ecs.instance-type !~ t3",
        "attribute:ecs.instance-type in [t3.large, t3.small]",
        "attribute:ecs.availability-zone !in [us-east-1b, 'us-east-1c']",
        "attribute:ecs.availability-zone not_in [us-east-1b]",
        "attribute:ecs.os-type exists",
        "attribute:gpu !exists",
        "attribute:gpu not_exists",
        "attribute:gpu != big",
        "attribute:ecs.rank > 4 and attribute:ecs.rank <= 5",
        "agentConnected == true",
        "agentVersion >= 1.9.0",
        "agentVersion less_than 1.100.0",
        "registeredAt > 2020-01-01",
        "registeredAt < 2099-01-01T10:00:00Z",
        "runningTasksCount == 3",
        "runningTasksCount < 10",
        "ec2InstanceId !exists",
        "task:group == service:web",
        "not(task:group == service:db)",
        "!(task:group == service:db)",
        "task:group in [family:batch]",
        "agentConnected == false or agentConnected == true and runningTasksCount == 3",
        "agentConnected == true || agentConnected == true && runningTasksCount == 4",
        "not agentConnected == false and runningTasksCount == 3",
    ],
)
def test_what_is_true(expression: str) -> None:
    assert true_of(expression)
    assert not true_of(f"not ({expression})")


def test_not_binds_closer_than_and_and_that_closer_than_or() -> None:
    assert not true_of("(agentConnected == true or agentConnected == true) and runningTasksCount == 4")
    assert true_of("agentConnected == true or agentConnected == true and runningTasksCount == 4")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "1 to 2000"),
        ("x" * 2001, "1 to 2000"),
        ("size == 3", "'size' is no subject"),
        ("agentConnected", "an operator was expected"),
        ("agentConnected ~ true", "an operator was expected"),
        ("agentConnected ==", "a value was expected"),
        ("(agentConnected == true", "')' was expected"),
        ("agentConnected == true)", "')' was not expected"),
        ("agentConnected == true and", "it ends too early"),
        ("task:group in service:web", "'[' was expected"),
        ("task:group in [service:web", "']' was expected"),
        ("agentVersion > new", "'new' cannot be compared with agentVersion"),
        ("registeredAt > yesterday", "cannot be compared"),
        ("attribute:x =~ (a+)+b", "a pattern was expected"),
        ("attribute:x =~ a{5", "cannot be read"),
        ("not " * 60 + "agentConnected == true", "more than 50 levels"),
        ('task:group == "x', "this cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(expression: str, why: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        compiled(expression)
    assert why in refused.value.message


@given(st.text(st.sampled_from("()[]!=<>&|~,'\" ") | st.sampled_from("andornotexists:in.*x1"), max_size=40))
def test_any_text_is_a_question_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidExpression):  # and nothing else
        compiled(text)
