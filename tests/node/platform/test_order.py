"""In which order a task's containers start and end, and what becomes of those that waited in vain."""

from __future__ import annotations

from typing import Any

import pytest

from tests.node.platform.installation import FOREVER, IMAGE, LOG_GROUP, Installation, container_of, short, until

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])
CHECK = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "timeout": 5, "retries": 3}


def part(name: str, command: list[str], **more: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": command, "memory": 32, "stopTimeout": 5} | more


def on(name: str, condition: str) -> list[dict[str, str]]:
    return [{"containerName": name, "condition": condition}]


def logged(name: str, command: str, shared: Installation) -> dict[str, Any]:
    """A container that writes to the log group, whose times tell the order of events."""
    options = {
        "awslogs-group": LOG_GROUP,
        "awslogs-region": shared.region,
        "awslogs-stream-prefix": "t",
        "awslogs-create-group": "true",
    }
    return part(name, ["sh", "-c", command]) | {"logConfiguration": {"logDriver": "awslogs", "options": options}}


def times(shared: Installation, task: dict[str, Any], name: str) -> dict[str, int]:
    """When a container wrote each of its lines, in milliseconds."""
    stream = f"t/{name}/{short(task)}"
    found = shared.client("logs").get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)
    return {event["message"]: event["timestamp"] for event in found["events"]}


@BOTH
def test_a_container_starts_once_its_dependency_has_succeeded(shared: Installation, how: dict[str, bool]) -> None:
    init = part("init", ["sh", "-c", "sleep 1; exit 0"], essential=False)
    task = shared.running(FOREVER, container={"dependsOn": on("init", "SUCCESS")}, others=[init], **how)
    assert container_of(task, "init")["lastStatus"] == "STOPPED"
    assert container_of(task, "init")["exitCode"] == 0
    shared.stopped(task)


def test_a_failed_dependency_ends_those_that_waited_for_its_success(shared: Installation) -> None:
    init = part("init", ["sh", "-c", "exit 5"], essential=False)
    task = shared.ended(FOREVER, container={"dependsOn": on("init", "SUCCESS")}, others=[init])
    assert container_of(task, "init")["exitCode"] == 5
    assert container_of(task)["exitCode"] == 143
    assert container_of(task)["reason"].startswith("CannotStartContainerError: dependency graph: dependency init")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"] == container_of(task)["reason"]
    assert "startedAt" not in task


def test_completion_is_enough_for_complete(shared: Installation) -> None:
    init = part("init", ["sh", "-c", "exit 5"], essential=False)
    task = shared.running(FOREVER, container={"dependsOn": on("init", "COMPLETE")}, others=[init])
    assert container_of(task, "init")["exitCode"] == 5
    shared.stopped(task)


def test_who_waits_for_health_starts_when_it_is_told(shared: Installation) -> None:
    db = part("db", ["sh", "-c", "sleep 6; touch /tmp/well; sleep 100000"], healthCheck=CHECK)
    task = shared.run(FOREVER, container={"dependsOn": on("db", "HEALTHY")}, others=[db])

    def waits() -> bool:
        found = shared.task(task["taskArn"])
        return container_of(found, "db")["lastStatus"] == "RUNNING" and found["lastStatus"] == "PENDING"

    until(waits, "the task to wait, and to tell so")
    task = shared.until_status(task["taskArn"], "RUNNING")
    shared.stopped(task)


def test_a_start_timeout_ends_the_waiting(shared: Installation) -> None:
    db = part("db", ["sleep", "100000"], healthCheck=CHECK, startTimeout=3, stopTimeout=1)
    task = shared.ended(FOREVER, container={"dependsOn": on("db", "HEALTHY")}, others=[db])
    assert container_of(task)["exitCode"] == 143
    assert "did not come to HEALTHY within its start timeout of 3 s" in container_of(task)["reason"]
    assert task["stopCode"] == "TaskFailedToStart"


def test_containers_start_in_order_and_end_in_reverse(shared: Installation) -> None:
    polite = "trap 'echo told; sleep 1; echo gone; exit 0' TERM; echo began; sleep 100000 & wait"
    first, second = logged("first", polite, shared), logged("second", polite, shared)
    second["dependsOn"] = on("first", "START")
    role = {"executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"}
    task = shared.running(["sleep", "100000"], others=[second, first], task=role, container={"essential": False})
    until(lambda: "began" in shared.log_lines(LOG_GROUP, task, "second"), "the second's first line")
    shared.stopped(task)
    one, two = times(shared, task, "first"), times(shared, task, "second")
    assert one["began"] <= two["began"]
    assert two["told"] < two["gone"] <= one["told"] < one["gone"]
