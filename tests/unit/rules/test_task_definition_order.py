"""dependsOn, healthCheck and restartPolicy of a registration: what is taken, with which defaults, and what is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from .drafts import FARGATE, a_part, refusal, registered

CHECK: dict[str, Any] = {"command": ["CMD-SHELL", "true"]}


def on(name: str, condition: str = "START") -> list[dict[str, str]]:
    return [{"containerName": name, "condition": condition}]


def test_a_health_check_gets_the_documented_defaults() -> None:
    container = registered(a_part(healthCheck=CHECK)).containers[0]
    assert msgspec.to_builtins(container.health_check) == {
        "command": ("CMD-SHELL", "true"),
        "interval": 30,
        "timeout": 5,
        "retries": 3,
        "startPeriod": None,
    }


@pytest.mark.parametrize(
    ("member", "least", "most"),
    [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)],
)
def test_each_number_of_a_health_check_has_its_bounds(member: str, least: int, most: int) -> None:
    for value in (least, most):
        registered(a_part(healthCheck=CHECK | {member: value}))
    for value in (least - 1, most + 1):
        said = refusal(a_part(healthCheck=CHECK | {member: value}))
        assert f"'{member}' must be between {least} and {most}" in said


@pytest.mark.parametrize("command", [[], ["true"], ["CMD"], ["CMD-SHELL"], ["CMD-SHELL", "a", "b"], ["NONE", "a"]])
def test_a_health_check_says_what_it_runs(command: list[str]) -> None:
    assert "health check" in refusal(a_part(healthCheck={"command": command}))


def test_every_condition_that_can_come_true_is_taken() -> None:
    parts = [
        a_part(name="once", essential=False),
        a_part(name="served", healthCheck=CHECK),
        a_part(dependsOn=on("once", "SUCCESS") + on("served", "HEALTHY") + on("served", "START")),
        a_part(name="last", dependsOn=on("once", "COMPLETE")),
    ]
    taken = registered(*parts).containers[2].depends_on
    assert taken is not None
    assert [(one.container_name, one.condition) for one in taken] == [
        ("once", "SUCCESS"),
        ("served", "HEALTHY"),
        ("served", "START"),
    ]


@pytest.mark.parametrize(
    ("dependency", "said"),
    [
        (on("nobody"), "'nobody', which is not in the task definition"),
        (on("app"), "depends on itself"),
        (on("other", "COMPLETE"), "COMPLETE cannot be set on the essential container 'other'"),
        (on("other", "SUCCESS"), "SUCCESS cannot be set on the essential container 'other'"),
        (on("other", "HEALTHY"), "needs a health check of the container 'other'"),
        (on("unchecked", "HEALTHY"), "needs a health check of the container 'unchecked'"),
        (on("other", "DONE"), "must be START, COMPLETE, SUCCESS, HEALTHY, not 'DONE'"),
    ],
)
def test_a_dependency_that_can_never_come_true_is_refused(dependency: list[dict[str, str]], said: str) -> None:
    unchecked = a_part(name="unchecked", healthCheck={"command": ["NONE"]})
    assert said in refusal(a_part(dependsOn=dependency), a_part(name="other"), unchecked)


def test_a_circle_is_told_link_by_link() -> None:
    said = refusal(
        a_part(name="a", dependsOn=on("b")), a_part(name="b", dependsOn=on("c")), a_part(name="c", dependsOn=on("a"))
    )
    assert "form a circle" in said
    assert all(f"{one} -> {other}" in said * 2 for one, other in ("ab", "bc", "ca"))


@pytest.mark.parametrize(
    "policy",
    [
        {"enabled": True, "restartAttemptPeriod": 59},
        {"enabled": True, "restartAttemptPeriod": 1801},
        {"enabled": True, "ignoredExitCodes": list(range(51))},
    ],
)
def test_a_restart_policy_has_bounds(policy: dict[str, Any]) -> None:
    assert "restart policy" in refusal(a_part(restartPolicy=policy)).lower()


def test_a_restart_policy_is_told_as_it_was_given() -> None:
    policy = {"enabled": True, "ignoredExitCodes": (0, 143), "restartAttemptPeriod": 60}
    taken = registered(a_part(restartPolicy=policy)).containers[0].restart_policy
    assert msgspec.to_builtins(taken) == policy


@pytest.mark.parametrize("member", ["startTimeout", "stopTimeout"])
def test_fargate_bounds_both_timeouts(member: str) -> None:
    registered(a_part(**{member: 120}), **FARGATE)
    assert f"a {member} of 121 seconds" in refusal(a_part(**{member: 121}), **FARGATE)
    registered(a_part(**{member: 121}))


def test_placement_looks_for_agents_that_can_do_it() -> None:
    parts = [
        a_part(name="other", healthCheck=CHECK | {"startPeriod": 10}),
        a_part(dependsOn=on("other"), restartPolicy={"enabled": True}),
        a_part(name="off", restartPolicy={"enabled": False}, healthCheck={"command": ["NONE"]}),
    ]
    names = registered(*parts).requires_attributes
    for name in ("container-ordering", "container-health-check", "container-restart-policy"):
        assert f"ecs.capability.{name}" in names
    assert "com.amazonaws.ecs.capability.docker-remote-api.1.29" in names
    assert not {name for name in registered(parts[2]).requires_attributes if "restart" in name or "health" in name}
