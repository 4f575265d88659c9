"""How tasks end: by their containers, or because somebody asked."""

from __future__ import annotations

import time

import pytest

from tests.node.platform.installation import FOREVER, IMAGE, LOG_GROUP, Installation, container_of, until

POLITE = ["sh", "-c", "trap 'echo told to stop; exit 9' TERM; echo ready; sleep 100000 & wait"]
# As the container's first process `sleep` has no handler, and the kernel then drops the signal.
DEAF = ["sleep", "100000"]


def test_an_essential_containers_end_stops_the_others_with_a_stop_signal(shared: Installation) -> None:
    polite = {"name": "polite", "image": IMAGE, "command": POLITE, "memory": 32, "stopTimeout": 20}
    task = shared.ended(["sh", "-c", "sleep 1; exit 5"], others=[polite])
    assert container_of(task)["exitCode"] == 5
    assert container_of(task, "polite")["exitCode"] == 9
    assert task["stopCode"] == "EssentialContainerExited"


@pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])
def test_stop_task_lets_a_container_end_by_itself(shared: Installation, how: dict[str, bool]) -> None:
    task = shared.running(POLITE, logs=LOG_GROUP, **how)
    until(lambda: "ready" in shared.log_lines(LOG_GROUP, task), "the trap is set")
    shared.ecs.stop_task(task=task["taskArn"], reason="enough")
    task = shared.until_status(task["taskArn"], "STOPPED")
    assert container_of(task)["exitCode"] == 9
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert shared.log_lines(LOG_GROUP, task) == ["ready", "told to stop"]


def test_a_shell_that_ends_by_the_signal_ends_with_143(shared: Installation) -> None:
    """Under a small init, as under any parent, a program without a handler dies of SIGTERM."""
    task = shared.running(["sh", "-c", "trap 'kill $!; wait $!; exit $?' TERM; sleep 100000 & wait $!"])
    assert container_of(shared.stopped(task))["exitCode"] == 143


def test_who_does_not_listen_is_killed_when_its_stop_timeout_is_over(shared: Installation) -> None:
    task = shared.running(DEAF, container={"stopTimeout": 3})
    asked = time.monotonic()
    task = shared.stopped(task)
    assert 2.8 <= time.monotonic() - asked <= 10
    assert container_of(task)["exitCode"] == 137
    assert task["stopCode"] == "UserInitiated"


def test_stopping_twice_does_no_harm_and_the_first_reason_stays(shared: Installation) -> None:
    task = shared.running(FOREVER)
    shared.ecs.stop_task(task=task["taskArn"], reason="first")
    shared.ecs.stop_task(task=task["taskArn"], reason="second")
    stopped = shared.until_status(task["taskArn"], "STOPPED")
    assert stopped["stoppedReason"] == "first"
    again = shared.ecs.stop_task(task=task["taskArn"], reason="third")["task"]
    assert again["lastStatus"] == "STOPPED"


def test_a_task_stopped_at_once_never_stays_behind(shared: Installation) -> None:
    tasks = [shared.run(FOREVER, fargate=fargate) for fargate in (True, False) for _ in range(3)]
    for task in tasks:
        shared.ecs.stop_task(task=task["taskArn"])
    for task in tasks:
        shared.until_status(task["taskArn"], "STOPPED")


def test_an_unknown_task_cannot_be_stopped(shared: Installation) -> None:
    with pytest.raises(shared.ecs.exceptions.InvalidParameterException, match="The referenced task was not found"):
        shared.ecs.stop_task(task="0" * 32)
