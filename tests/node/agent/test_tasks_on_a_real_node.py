"""The machine's commands, carried out on a real node, end as the machine believes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from moorage.agent.spec import NetworkMode
from moorage.agent.task import TaskPlan
from tests.unit.agent.world import plan

from .conftest import Agent

Start = Callable[[], Agent]
SLEEP = "trap 'exit 5' TERM; sleep 1000 & wait"


def shell(number: int, *scripts: str, essential: tuple[bool, ...] = (), mode: NetworkMode = "none") -> TaskPlan:
    """A task whose containers run these scripts."""
    task = plan(number, *(essential or (True,) * len(scripts)), cpu=1, memory=8)
    parts = tuple(
        replace(part, spec=replace(part.spec, command=("sh", "-c", script)), stop_timeout_s=1.0)
        for part, script in zip(task.containers, scripts, strict=True)
    )
    return replace(task, containers=parts, sandbox=replace(task.sandbox, network_mode=mode))


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        await work

    asyncio.run(main())


def test_a_task_runs_and_its_exit_codes_are_told(start: Start) -> None:
    async def work() -> None:
        agent = start()
        task = shell(1, "exit 7", SLEEP)
        agent.run(task)
        await agent.told(task, "RUNNING")
        report = await agent.told(task, "STOPPED")
        assert [container.exit_code for container in report.containers] == [7, 5]
        assert agent.node.list_sandboxes() == ()
        assert agent.node.list_containers() == ()
        await agent.leave()

    run(work())


def test_a_container_that_will_not_stop_is_killed(start: Start) -> None:
    async def work() -> None:
        agent = start()
        task = shell(1, "trap '' TERM; while :; do sleep 1000; done")
        agent.run(task)
        await agent.told(task, "RUNNING")
        agent.stop(task)
        report = await agent.told(task, "STOPPED")
        assert report.containers[0].exit_code == 128 + signal.SIGKILL
        await agent.leave()

    run(work())


def test_tasks_that_cannot_start_end_with_a_reason_and_hold_up_nobody(start: Start) -> None:
    async def work() -> None:
        agent = start()
        good, unknown, missing = shell(1, SLEEP), shell(2, ""), shell(3, "")
        spec = unknown.containers[0].spec
        unknown = replace(
            unknown, containers=(replace(unknown.containers[0], spec=replace(spec, command=("nope",))),)
        )
        spec = missing.containers[0].spec
        missing = replace(missing, containers=(replace(missing.containers[0], spec=replace(spec, image="missing")),))
        agent.run(unknown, missing, good)
        await agent.told(good, "RUNNING")
        reason = (await agent.told(unknown, "STOPPED")).containers[0].reason
        assert reason.startswith(("CannotStartContainerError: ", "CannotCreateContainerError: "))
        assert "nope" in reason
        reason = (await agent.told(missing, "STOPPED")).containers[0].reason
        assert reason == "CannotPullContainerError: missing: not found"
        agent.stop(good)
        await agent.told(good, "STOPPED")
        await agent.leave()

    run(work())


def test_the_next_agent_adopts_what_runs_and_what_has_ended(start: Start) -> None:
    async def work() -> None:
        first = start()
        runs, ends = shell(1, SLEEP), shell(2, "trap 'exit 9' TERM; sleep 1000 & wait")
        first.run(runs, ends)
        await first.told(runs, "RUNNING")
        await first.told(ends, "RUNNING")
        pids = {task.id: first.node.status(task.containers[0].spec.id).pid for task in (runs, ends)}
        await first.leave()
        ended = pids[ends.id]
        assert ended is not None
        os.kill(ended, signal.SIGTERM)
        second = start()
        await second.told(runs, "RUNNING")
        assert second.node.status(runs.containers[0].spec.id).pid == pids[runs.id]
        assert (await second.told(ends, "STOPPED")).containers[0].exit_code == 9
        second.stop(runs)
        assert (await second.told(runs, "STOPPED")).containers[0].exit_code == 5
        await second.leave()

    run(work())


@pytest.mark.parametrize("phase", ["preparing", "starting", "running", "stopping", "cleaning"])
def test_an_agent_that_leaves_in_any_phase_is_followed_by_one_that_goes_on(start: Start, phase: str) -> None:
    async def work() -> None:
        task = shell(1, "exit 3", SLEEP)
        first = start()
        first.run(task)
        await first.reached(task, phase)
        await first.leave()
        second = start()
        lives = second if task.id in second.machine.tasks else first
        assert (await lives.told(task, "STOPPED")).containers[0].exit_code == 3
        await second.leave()

    run(work())
