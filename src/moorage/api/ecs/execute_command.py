"""ExecuteCommand: a session that its caller opens with `session-manager-plugin`. Source: ECS API, ExecuteCommand.

The answer's token opens the session once, within `TOKEN_VALID_S`. Nothing runs before that.

ECS wants a task role of such tasks, because its agent inside them calls a service of Amazon's with it. Here the node
itself runs the command, so no role is asked for, and none is needed.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import ClientRefused, InvalidParameter, TargetNotConnected
from moorage.api.ecs.lookup import active_cluster
from moorage.api.ecs.task_lookup import task_arn
from moorage.base.dice import URL_SAFE, hex_id, letters
from moorage.model.exec_session import SESSIONS_PER_CONTAINER_MAX, ExecSession
from moorage.model.task import Container, Task
from moorage.store import StateTx

NOT_ENABLED: Final = (
    "The execute command failed because execute command was not enabled when the task was run or the execute command "
    "agent isn't running. Wait and try again or run a new task with execute command enabled and try again."
)
STREAM_PATH: Final = "/v1/data-channel"
SESSION_ID_DIGITS: Final = 17  # as ECS's own
TOKEN_CHARS: Final = 64  # six bits each


class ExecuteCommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    task: str = ""
    command: str = ""
    interactive: bool = False
    container: str | None = None
    cluster: str | None = None


class SessionShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    session_id: str
    stream_url: str
    token_value: str


class ExecuteCommandResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster_arn: str
    task_arn: str
    container_arn: str
    container_name: str
    interactive: bool
    session: SessionShape


def execute_command(call: Call, request: ExecuteCommandRequest) -> ExecuteCommandResponse:
    """Write that the caller may open a session with this command."""
    if not request.interactive:
        raise InvalidParameter("Interactive is the only mode supported currently.")
    command = _words(request.command)
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        task = tx.tasks.get(task_arn(call.scope, cluster, request.task))
        if task is None:
            raise InvalidParameter("The referenced task was not found.")
        container = _container(task, request.container)
        _check_runs(tx, task, container)
        _check_room(tx, task, container, call.now_s)
        token = letters(call.dice, TOKEN_CHARS, URL_SAFE)
        session = ExecSession(
            id=f"ecs-execute-command-{hex_id(call.dice, SESSION_ID_DIGITS)}",
            account=call.scope.account,
            region=call.scope.region,
            cluster=cluster.arn,
            task=task.arn,
            container=container.name,
            instance=task.instance,
            command=command,
            token_sha256=hashlib.sha256(token.encode()).hexdigest(),
            created_at=call.now_s,
        )
        tx.exec_sessions.put(session)
    base = call.installation.endpoint.replace("http", "ws", 1)
    url = f"{base}{STREAM_PATH}/{session.id}?role=publish_subscribe"
    return ExecuteCommandResponse(
        cluster_arn=cluster.arn,
        task_arn=task.arn,
        container_arn=container.arn,
        container_name=container.name,
        interactive=True,
        session=SessionShape(session_id=session.id, stream_url=url, token_value=token),
    )


def _words(command: str) -> tuple[str, ...]:
    """The program and its arguments, quoted as for a shell, though none reads them."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise InvalidParameter(f"command cannot be read: {error}.") from error
    if not words or "\0" in command:
        raise InvalidParameter("command must name a program.")
    return words


def _container(task: Task, name: str | None) -> Container:
    if name is None and len(task.containers) == 1:
        return task.containers[0]
    if name is None:
        names = ", ".join(one.name for one in task.containers)
        raise InvalidParameter(f"The task has several containers; name one of them: {names}.")
    found = next((one for one in task.containers if one.name == name), None)
    if found is None:
        raise InvalidParameter(f"The container {name} was not found in the task.")
    return found


def _check_runs(tx: StateTx, task: Task, container: Container) -> None:
    if not task.enable_execute_command:
        raise InvalidParameter(NOT_ENABLED)
    host = tx.container_instances.get(task.instance)
    ready = container.last_status == "RUNNING" and not task.stopped
    if not ready or host is None or not host.agent_connected:
        raise TargetNotConnected(NOT_ENABLED)


def _check_room(tx: StateTx, task: Task, container: Container, now_s: float) -> None:
    others = tx.exec_sessions.by("container", (task.arn, container.name))
    if sum(not one.is_void(now_s) for one in others) >= SESSIONS_PER_CONTAINER_MAX:
        raise ClientRefused(f"A container can have at most {SESSIONS_PER_CONTAINER_MAX} execute command sessions.")
