"""Sessions of ECS Exec reach the agent of the instance, once for each of its connections."""

from __future__ import annotations

from msgspec.structs import replace
from tests.unit.control.test_acs_session import World
from tests.unit.records import CLUSTER, INSTANCE, a_task
from tests.unit.support import ACCOUNT, NOW_S, REGION

from moorage.link import acs
from moorage.model.exec_session import ExecSession


def a_session(number: int) -> ExecSession:
    return ExecSession(
        id=f"ecs-execute-command-{number}",
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        task=a_task().arn,
        container="app",
        instance=INSTANCE,
        command=("sh", "-l"),
        token_sha256="",
        created_at=NOW_S,
    )


def put(world: World, session: ExecSession) -> None:
    with world.store.update() as tx:
        tx.exec_sessions.put(session)


def test_an_agent_hears_of_a_session_when_it_is_opened_and_not_before() -> None:
    world = World()
    connection = world.settled()
    put(world, a_session(1))
    assert world.wake(connection) == []
    put(world, replace(a_session(1), opened_at=NOW_S))
    (told,) = world.wake(connection)
    assert isinstance(told, acs.MoorageExecMessage)
    assert (told.session_id, told.task_arn, told.container_name, told.command) == (
        "ecs-execute-command-1",
        a_task().arn,
        "app",
        ("sh", "-l"),
    )
    assert acs.decode(acs.encode(told)) == told
    assert world.wake(connection) == []


def test_a_new_connection_is_told_again_of_what_is_open() -> None:
    world = World()
    for number in (1, 2):
        put(world, replace(a_session(number), opened_at=NOW_S))
    for _ in range(2):
        messages = world.wake(world.sessions.open(INSTANCE, NOW_S))
        told = [one.session_id for one in messages if isinstance(one, acs.MoorageExecMessage)]
        assert told == ["ecs-execute-command-1", "ecs-execute-command-2"]
    with world.store.update() as tx:
        tx.exec_sessions.delete("ecs-execute-command-1")
    messages = world.wake(world.sessions.open(INSTANCE, NOW_S))
    told = [one.session_id for one in messages if isinstance(one, acs.MoorageExecMessage)]
    assert told == ["ecs-execute-command-2"]
