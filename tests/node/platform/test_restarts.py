"""Containers that a restart policy starts again. The API's shortest period is a minute, so there is one long test."""

from __future__ import annotations

from tests.node.platform.installation import LOG_GROUP, Installation, container_of, until

# Ends after a minute and a bit, each time; keeps count in a file of its own.
COUNTING = "echo x >> /runs; echo run $(grep -c x /runs); sleep 61; exit 3"
POLICY = {"enabled": True, "restartAttemptPeriod": 60}


def test_one_that_ends_too_early_is_not_started_again(shared: Installation) -> None:
    task = shared.ended(["sh", "-c", "exit 3"], container={"restartPolicy": POLICY})
    assert container_of(task)["exitCode"] == 3
    assert task["stopCode"] == "EssentialContainerExited"


def test_one_that_ran_long_enough_is_started_again_and_nobody_is_told(breakable: Installation) -> None:
    task = breakable.running(["sh", "-c", COUNTING], container={"restartPolicy": POLICY}, logs=LOG_GROUP)
    pids = {"instance": breakable.pid("instance")}
    breakable.kill("instance")  # the next agent knows the policy, the image and the time
    breakable.until_ready(other_than=pids)
    until(lambda: "run 2" in breakable.log_lines(LOG_GROUP, task), "the second run", 100)
    again = breakable.task(task["taskArn"])
    assert (again["lastStatus"], again["desiredStatus"]) == ("RUNNING", "RUNNING")
    assert "exitCode" not in container_of(again)
    assert "executionStoppedAt" not in again
    stopped = breakable.stopped(task)
    assert breakable.log_lines(LOG_GROUP, task) == ["run 1", "run 2"]
    assert container_of(stopped)["exitCode"] == 137
