"""Output on its way to CloudWatch Logs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from moorage.agent import events as on
from moorage.agent.api import Api
from moorage.agent.background import Background
from moorage.agent.logs import LogShipper
from moorage.agent.logsource import NodeLogSource
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.task import LogPlan
from moorage.wire.signer import Signer

from .server import ScriptedApi, listening, run, until
from .test_api_client import StillClock

TASK = SandboxId("4c" * 16)
CONTAINER = ContainerId(f"{TASK}-0")
PLAN = LogPlan(group="/g", stream="p/app/t", region="us-east-1")
NO_GROUP = 400, {"__type": "ResourceNotFoundException", "message": "The specified log group does not exist."}


def line(text: str, mark: str) -> str:
    return f"2026-01-01T00:00:00.123456789+00:00 stdout {mark} {text}\n"


class Node:
    """A shipper of one container's log file."""

    def __init__(self, server: ScriptedApi, directory: Path) -> None:
        self.server = server
        self.log = directory / "log"
        signer = Signer(access_key_id="AKIA", secret="s", region="us-east-1", service="logs")
        api = Api(server.client(), signer, StillClock())
        self.shipper = LogShipper(
            lambda _: api, NodeLogSource(lambda _: self.log), directory / "positions", Background()
        )

    def write(self, *texts: str, mark: str = "F") -> None:
        with self.log.open("a") as file:
            file.writelines(line(text, mark) for text in texts)

    async def flush(self) -> None:
        done = asyncio.Event()
        self.shipper.flush(TASK, done.set)
        async with asyncio.timeout(10):
            await done.wait()

    @property
    def sent(self) -> list[str]:
        calls = [asked for asked in self.server.asked if asked.operation == "PutLogEvents"]
        return [event["message"] for asked in calls for event in asked.body["logEvents"]]


def test_lines_arrive_while_the_container_runs(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            node = Node(server, tmp_path)
            node.shipper.follow(CONTAINER, TASK, PLAN)
            node.write("one", "two")
            await until(lambda: node.sent == ["one", "two"])
            node.write("three")
            await until(lambda: node.sent == ["one", "two", "three"])
            body = server.asked[0].body
            assert (body["logGroupName"], body["logStreamName"]) == ("/g", "p/app/t")
            assert body["logEvents"][0]["timestamp"] == 1_767_225_600_123

    run(work())


def test_a_flush_sends_the_rest_and_an_unended_line(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            node = Node(server, tmp_path)
            node.write("one")
            node.write("half", mark="P")
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            assert node.sent == ["one", "half"]

    run(work())


def test_a_container_without_output_is_flushed_at_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            node = Node(server, tmp_path)
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            await node.flush()
            assert server.asked == []

    run(work())


def test_the_next_agent_goes_on_where_the_last_one_was_acknowledged(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            first = Node(server, tmp_path)
            first.shipper.follow(CONTAINER, TASK, PLAN)
            first.write("one")
            await until((tmp_path / "positions" / CONTAINER).exists)
            second = Node(server, tmp_path)
            second.write("two")
            second.shipper.follow(CONTAINER, TASK, PLAN)
            await second.flush()
            assert "".join(second.sent).count("one") == 1
            assert "two" in second.sent

    run(work())


def test_lines_wait_for_a_service_that_is_away(tmp_path: Path) -> None:
    async def work() -> None:
        answers: list[tuple[int, dict[str, Any]]] = [(503, {}), (500, {}), (200, {})]
        async with listening(ScriptedApi(answer=lambda *_: answers.pop(0))) as server:
            node = Node(server, tmp_path)
            node.write("one")
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            assert node.sent == ["one", "one", "one"]
            assert answers == []

    run(work())


def test_a_stream_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    made: list[str] = []

    def answer(operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "CreateLogStream":
            made.append(body["logStreamName"])
            return 200, {}
        return (200, {}) if made else NO_GROUP

    async def work() -> None:
        async with listening(ScriptedApi(answer=answer)) as server:
            node = Node(server, tmp_path)
            node.write("one")
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            assert made == ["p/app/t"]
            assert node.sent == ["one", "one"]

    run(work())


def test_what_the_service_refuses_for_good_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def work() -> None:
        refusal = 400, {"__type": "InvalidParameterException", "message": "no"}
        async with listening(ScriptedApi(answer=lambda *_: refusal)) as server:
            node = Node(server, tmp_path)
            node.write("one")
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            assert node.sent == ["one"]

    run(work())


def test_positions_are_forgotten_with_the_task(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            node = Node(server, tmp_path)
            node.write("one")
            node.shipper.follow(CONTAINER, TASK, PLAN)
            await node.flush()
            assert [path.name for path in (tmp_path / "positions").iterdir()] == [CONTAINER]
            node.shipper.forget(TASK)
            assert list((tmp_path / "positions").iterdir()) == []

    run(work())


async def prepared(node: Node, plan: LogPlan) -> on.Event:
    told: list[on.Event] = []
    node.shipper.prepare(TASK, [plan], told.append)
    await until(lambda: bool(told))
    return told[0]


def test_a_missing_group_keeps_the_task_from_starting(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(ScriptedApi(answer=lambda *_: NO_GROUP)) as server:
            event = await prepared(Node(server, tmp_path), PLAN)
            assert isinstance(event, on.StepFailed)
            assert event.kind == "ResourceInitializationError"
            assert event.reason == (
                "failed to validate logger args: create stream has been retried 1 times: failed to create "
                "Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
            )

    run(work())


@pytest.mark.parametrize("exists", [False, True])
def test_group_and_stream_are_made_where_the_definition_asks_for_it(tmp_path: Path, exists: bool) -> None:
    made: list[str] = []

    def answer(operation: str, _: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "CreateLogStream" and not made:
            return NO_GROUP
        made.append(operation)
        taken = 400, {"__type": "ResourceAlreadyExistsException", "message": "already"}
        return taken if exists else (200, {})

    async def work() -> None:
        async with listening(ScriptedApi(answer=answer)) as server:
            plan = LogPlan(group="/g", stream="s", region="us-east-1", create_group=True)
            assert await prepared(Node(server, tmp_path), plan) == on.LogsPrepared(task=TASK)
            assert made == ["CreateLogGroup", "CreateLogStream"]

    run(work())
