"""`kill -9` of the agents: containers are adopted, and what ended meanwhile is told as it ended."""

from __future__ import annotations

import os
import signal

import pytest

from tests.node.platform.installation import FOREVER, LOG_GROUP, Installation, container_of, short, until
from tests.node.platform.traces import container_pids, first_process

NODES = pytest.mark.parametrize(("node", "fargate"), [("fargate", True), ("instance", False)])
ENDS_WHEN_TOLD = ["sh", "-c", "trap 'exit 23' USR1; echo ready; sleep 100000 & wait"]
COUNTING = ["sh", "-c", "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done"]


@NODES
def test_containers_are_adopted_and_the_ends_meanwhile_are_known(
    breakable: Installation, node: str, fargate: bool
) -> None:
    stays = breakable.running(FOREVER, fargate=fargate)
    ends = breakable.running(ENDS_WHEN_TOLD, fargate=fargate, logs=LOG_GROUP)
    until(lambda: breakable.log_lines(LOG_GROUP, ends) == ["ready"], "the trap is set")
    before = container_pids(breakable.settings, short(stays))
    told, agent = first_process(breakable.settings, short(ends)), breakable.pid(node)
    os.kill(agent, signal.SIGKILL)
    os.kill(told, signal.SIGUSR1)
    breakable.until_ready(other_than={node: agent})
    ended = breakable.until_status(ends["taskArn"], "STOPPED")
    assert container_of(ended)["exitCode"] == 23
    assert ended["stopCode"] == "EssentialContainerExited"
    assert container_pids(breakable.settings, short(stays)) == before
    now = breakable.task(stays["taskArn"])
    assert (now["lastStatus"], now["startedAt"]) == ("RUNNING", stays["startedAt"])
    assert container_of(breakable.stopped(stays))["exitCode"] == 143


@NODES
def test_a_task_asked_for_while_its_agent_is_dead_runs_afterwards(
    breakable: Installation, node: str, fargate: bool
) -> None:
    agent = breakable.pid(node)
    os.kill(agent, signal.SIGKILL)
    task = breakable.running(FOREVER, fargate=fargate)
    breakable.stopped(task)


def test_a_stop_asked_for_while_the_agent_is_dead_is_carried_out(breakable: Installation) -> None:
    task = breakable.running(FOREVER)
    breakable.kill("instance")
    assert container_of(breakable.stopped(task))["exitCode"] == 143


@NODES
def test_no_line_is_lost_over_an_agents_death(breakable: Installation, node: str, fargate: bool) -> None:
    task = breakable.running(COUNTING, fargate=fargate, logs=LOG_GROUP)
    until(lambda: breakable.log_lines(LOG_GROUP, task), "the first lines")
    agent = breakable.pid(node)
    os.kill(agent, signal.SIGKILL)
    breakable.until_ready(other_than={node: agent})
    seen = len(breakable.log_lines(LOG_GROUP, task))
    until(lambda: len(breakable.log_lines(LOG_GROUP, task)) > seen, "lines go on")
    lines = breakable.log_lines(LOG_GROUP, breakable.stopped(task))
    once = list(dict.fromkeys(lines))  # those in flight at the kill may have come twice
    assert once == [str(number) for number in range(1, len(once) + 1)]


def test_agents_killed_again_and_again_while_tasks_come_and_go(breakable: Installation) -> None:
    for _ in range(3):
        tasks = [breakable.run(["sh", "-c", "exit 6"], fargate=fargate) for fargate in (True, False)]
        breakable.kill("fargate", "instance")
        for task in tasks:
            ended = breakable.until_status(task["taskArn"], "STOPPED")
            code = container_of(ended).get("exitCode")
            assert code == 6, (ended.get("stoppedReason"), ended["containers"])
