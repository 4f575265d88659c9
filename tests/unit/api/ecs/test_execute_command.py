"""ExecuteCommand: what may be executed where, and what its caller is given."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.execute_command import NOT_ENABLED
from moorage.base.errors import Refused
from moorage.control.reaper import Reaper
from moorage.model.container_instance import Attribute
from moorage.model.exec_session import EXEC_ATTRIBUTE, SESSIONS_PER_CONTAINER_MAX, TOKEN_VALID_S
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import define, installation
from tests.unit.support import NOW_S, later


def a_place(*, able: bool = True, connected: bool = True) -> Call:
    call = installation()
    with call.store.update() as tx:
        for host in tuple(tx.container_instances):
            names = [Attribute(name=EXEC_ATTRIBUTE)] if able else []
            attributes = (*host.attributes, *names)
            tx.container_instances.put(replace(host, attributes=attributes, agent_connected=connected))
    return call


def a_running_task(call: Call, *, enabled: bool = True, containers: int = 1) -> str:
    parts = [{"name": f"app{n}", "image": "busybox", "memory": 64} for n in range(containers)]
    define(call, containerDefinitions=parts)
    answer = ask(call, "RunTask", taskDefinition="web", enableExecuteCommand=enabled)
    arn: str = answer["tasks"][0]["taskArn"]
    with call.store.update() as tx:
        task = tx.tasks.get(arn)
        assert task is not None
        running = tuple(replace(one, last_status="RUNNING", runtime_id="r") for one in task.containers)
        tx.tasks.put(replace(task, last_status="RUNNING", started_at=NOW_S, containers=running))
    return arn


def execute(call: Call, arn: str, command: str = "/bin/sh", **members: object) -> dict[str, object]:
    return ask(call, "ExecuteCommand", **{"task": arn, "command": command, "interactive": True, **members})


def refusal(call: Call, arn: str, **members: object) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        execute(call, arn, **members)  # type: ignore[arg-type]  # members of the request
    return refused.value.code, refused.value.message


def test_a_session_is_written_with_the_hash_of_a_token_that_only_the_caller_has() -> None:
    call = a_place()
    arn = a_running_task(call)
    answer = execute(call, arn, "sh -c 'echo \"a b\"'")
    session = answer["session"]
    assert isinstance(session, dict)
    stored = call.store.view().exec_sessions.get(session["sessionId"])
    assert stored is not None
    assert stored.command == ("sh", "-c", 'echo "a b"')
    assert session["tokenValue"] not in str(stored)
    url = f"ws://127.0.0.1:8780/v1/data-channel/{session['sessionId']}?role=publish_subscribe"
    assert session["streamUrl"] == url
    assert {name: answer[name] for name in ("taskArn", "containerName", "interactive")} == {
        "taskArn": arn,
        "containerName": "app0",
        "interactive": True,
    }


def test_tasks_run_with_it_go_only_where_it_can_be_had() -> None:
    call = a_place(able=False)
    define(call)
    answer = ask(call, "RunTask", taskDefinition="web", enableExecuteCommand=True)
    assert [one["reason"] for one in answer["failures"]] == ["ATTRIBUTE"]
    assert ask(call, "RunTask", taskDefinition="web")["failures"] == []


def test_the_managed_agent_is_there_as_long_as_its_container_runs() -> None:
    call = a_place()
    define(call)
    started = ask(call, "RunTask", taskDefinition="web", enableExecuteCommand=True)["tasks"][0]
    assert started["enableExecuteCommand"] is True
    agent = {"name": "ExecuteCommandAgent", "lastStatus": "PENDING"}
    assert started["containers"][0]["managedAgents"] == [agent]
    arn = a_running_task(call)
    (described,) = ask(call, "DescribeTasks", tasks=[arn])["tasks"]
    running = {"name": "ExecuteCommandAgent", "lastStatus": "RUNNING", "lastStartedAt": NOW_S}
    assert described["containers"][0]["managedAgents"] == [running]
    arn = a_running_task(call, enabled=False)
    (described,) = ask(call, "DescribeTasks", tasks=[arn])["tasks"]
    assert described["containers"][0].get("managedAgents", []) == []


def test_a_task_that_was_run_without_it_is_refused() -> None:
    call = a_place()
    arn = a_running_task(call, enabled=False)
    assert refusal(call, arn) == ("InvalidParameterException", NOT_ENABLED)


def test_a_container_that_does_not_run_is_not_connected() -> None:
    call = a_place()
    define(call)
    arn = ask(call, "RunTask", taskDefinition="web", enableExecuteCommand=True)["tasks"][0]["taskArn"]
    assert refusal(call, arn) == ("TargetNotConnectedException", NOT_ENABLED)


def test_a_node_that_is_away_is_not_connected() -> None:
    call = a_place()
    arn = a_running_task(call)
    with call.store.update() as tx:
        for host in tuple(tx.container_instances):
            tx.container_instances.put(replace(host, agent_connected=False))
    assert refusal(call, arn) == ("TargetNotConnectedException", NOT_ENABLED)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"interactive": False}, "Interactive is the only mode supported currently."),
        ({"container": "other"}, "The container other was not found in the task."),
        ({"command": ""}, "command must name a program."),
        ({"command": "sh -c 'x"}, "command cannot be read: No closing quotation."),
        ({"task": "f" * 32}, "The referenced task was not found."),
    ],
)
def test_what_cannot_be_is_refused(members: dict[str, object], message: str) -> None:
    call = a_place()
    arn = a_running_task(call)
    assert refusal(call, arn, **members) == ("InvalidParameterException", message)


def test_one_of_several_containers_must_be_named() -> None:
    call = a_place()
    arn = a_running_task(call, containers=2)
    code, message = refusal(call, arn)
    assert code == "InvalidParameterException"
    assert "app0, app1" in message
    assert execute(call, arn, container="app1")["containerName"] == "app1"


def test_a_container_has_twenty_sessions_at_most_and_void_ones_do_not_count() -> None:
    call = a_place()
    arn = a_running_task(call)
    for _ in range(SESSIONS_PER_CONTAINER_MAX):
        execute(call, arn)
    assert refusal(call, arn)[0] == "ClientException"
    execute(later(call, TOKEN_VALID_S + 1), arn)


def test_sessions_that_nobody_opened_are_forgotten_and_open_ones_are_not() -> None:
    call = a_place()
    arn = a_running_task(call)
    ids = [execute(call, arn)["session"]["sessionId"] for _ in range(2)]  # type: ignore[index]  # a JSON answer
    with call.store.update() as tx:
        session = tx.exec_sessions.get(ids[0])
        assert session is not None
        tx.exec_sessions.put(replace(session, opened_at=NOW_S))
    Reaper(call.store).activate(NOW_S + TOKEN_VALID_S)
    assert len(tuple(call.store.view().exec_sessions)) == 2
    Reaper(call.store).activate(NOW_S + TOKEN_VALID_S + 1)
    assert [one.id for one in call.store.view().exec_sessions] == [ids[0]]
