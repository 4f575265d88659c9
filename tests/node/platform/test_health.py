"""Health checks of real containers, told as DescribeTasks tells them."""

from __future__ import annotations

import pytest

from tests.node.platform.installation import IMAGE, Installation, container_of, until

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])
# Healthy while /tmp/well is there; whoever wants it ill removes the file by a signal.
TURNING = ["sh", "-c", "touch /tmp/well; trap 'rm /tmp/well' USR1; sleep 8; rm /tmp/well; sleep 100000 & wait"]
CHECK = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "timeout": 5, "retries": 1}


def until_health(shared: Installation, arn: str, status: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        task = shared.task(arn)
        return task if container_of(task)["healthStatus"] == status else None

    return until(look, f"{arn} {status}", 60)


@BOTH
def test_a_container_becomes_healthy_and_then_unhealthy_and_goes_on(
    shared: Installation, how: dict[str, bool]
) -> None:
    task = shared.running(TURNING, container={"healthCheck": CHECK}, **how)
    assert (container_of(task)["healthStatus"], task["healthStatus"]) == ("UNKNOWN", "UNKNOWN")
    healthy = until_health(shared, task["taskArn"], "HEALTHY")
    assert healthy["healthStatus"] == "HEALTHY"
    assert healthy["version"] > task["version"]  # type: ignore[operator]  # boto3 is untyped
    ill = until_health(shared, task["taskArn"], "UNHEALTHY")
    assert (ill["healthStatus"], ill["lastStatus"]) == ("UNHEALTHY", "RUNNING")
    shared.stopped(task)


def test_a_check_that_hangs_is_a_failure(shared: Installation) -> None:
    check = {"command": ["CMD", "sleep", "1000"], "interval": 5, "timeout": 2, "retries": 1}
    task = shared.running(["sleep", "100000"], container={"healthCheck": check, "stopTimeout": 1})
    until_health(shared, task["taskArn"], "UNHEALTHY")
    shared.stopped(task)


def test_only_essential_containers_count_for_the_task(shared: Installation) -> None:
    side = {
        "name": "side",
        "image": IMAGE,
        "command": ["sleep", "100000"],
        "memory": 32,
        "essential": False,
        "stopTimeout": 1,
        "healthCheck": CHECK,
    }
    well = {"command": ["CMD", "true"], "interval": 5}
    task = shared.running(["sleep", "100000"], container={"healthCheck": well, "stopTimeout": 1}, others=[side])
    until(
        lambda: container_of(shared.task(task["taskArn"]), "side")["healthStatus"] == "UNHEALTHY", "the side ill", 60
    )
    assert until_health(shared, task["taskArn"], "HEALTHY")["healthStatus"] == "HEALTHY"
    shared.stopped(task)


def test_health_outlives_the_agent_and_the_server(breakable: Installation) -> None:
    task = breakable.running(TURNING, container={"healthCheck": CHECK | {"retries": 10}})
    until_health(breakable, task["taskArn"], "HEALTHY")
    pids = {name: breakable.pid(name) for name in ("instance", "server")}
    breakable.kill("instance", "server")
    breakable.until_ready(other_than=pids)
    assert container_of(breakable.task(task["taskArn"]))["healthStatus"] == "HEALTHY"
    breakable.stopped(task)


def test_a_health_check_goes_on_after_the_agent_is_killed(breakable: Installation) -> None:
    task = breakable.running(TURNING, container={"healthCheck": CHECK})
    until_health(breakable, task["taskArn"], "HEALTHY")
    pids = {"instance": breakable.pid("instance")}
    breakable.kill("instance")
    breakable.until_ready(other_than=pids)
    until_health(breakable, task["taskArn"], "UNHEALTHY")
    breakable.stopped(task)
