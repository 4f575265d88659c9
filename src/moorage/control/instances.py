"""Which instances can be reached, and what becomes of the tasks of those that cannot.

An agent that reconnects within AGENT_AWAY_AFTER_S was never away: agents change their connection every half hour, and
a restarted server has none at first. After that the instance gets no new tasks. Its tasks go on, for all anyone
knows, so only the fleet's, whose host nobody but Moorage can bring back, are given up after NODE_LOST_AFTER_S.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.base.limits import HEARTBEAT_PERIOD_S, NODE_LOST_AFTER_S
from moorage.control.sessions import Sessions
from moorage.model.task import Task
from moorage.rules.lifecycle import abandon, set_connected
from moorage.store import State, StateTx, Store

# Agents reconnect within 5 s; a connection that died without a word shows after two heartbeats, that comes on top.
AGENT_AWAY_AFTER_S: Final = 15.0
assert AGENT_AWAY_AFTER_S < HEARTBEAT_PERIOD_S < NODE_LOST_AFTER_S
# Given up in one activation: some tens of milliseconds on a day that is bad anyway; the rest follows with the next.
LOST_TASKS_AT_ONCE_MAX: Final = 1000

HOST_LOST: Final = "ECS is performing maintenance on the underlying infrastructure hosting the task."


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself when it connects."""

    agent_version: str | None = None
    agent_hash: str | None = None
    docker_version: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Instances to be marked away, with the time since when; tasks whose host is lost for good."""

    away: tuple[tuple[ContainerInstanceArn, float], ...] = ()
    lost: tuple[TaskArn, ...] = ()


def compute_plan(state: State, sessions: Sessions, now_s: float) -> Plan:
    """What follows from who has been away for how long."""
    away = []
    lost: list[TaskArn] = []
    for instance in state.container_instances:
        since_s = sessions.away_since_s(instance.arn)
        if since_s is None or instance.status == "INACTIVE":
            continue
        if instance.agent_connected and now_s - since_s > AGENT_AWAY_AFTER_S:
            away.append((instance.arn, since_s))
        if instance.fargate and now_s - since_s > NODE_LOST_AFTER_S:
            lost += [task.arn for task in state.tasks.by("instance", instance.arn)]
    return Plan(tuple(away), tuple(lost))


class InstanceLoop:
    """Keeps `agent_connected` true to the sessions, in the direction of absence; `greet` is the other direction."""

    name = "instances"
    period_s = 5.0
    tables: tuple[str, ...] = ()  # absence is the passing of time, no table tells of it

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    def activate(self, now_s: float) -> None:
        state = self._store.view()
        self._sessions.forget(state.container_instances.__contains__)
        plan = compute_plan(state, self._sessions, now_s)
        for arn, since_s in plan.away:
            with self._store.update() as tx:
                _mark_away(tx, arn, since_s, now_s)
        if plan.lost:
            with self._store.update() as tx:
                for task in plan.lost[:LOST_TASKS_AT_ONCE_MAX]:
                    _give_up(tx, task, now_s)


def greet(store: Store, arn: ContainerInstanceArn, hello: Hello, now_s: float) -> None:
    """The agent of an instance has connected. Writes nothing where nothing is new."""
    with store.update() as tx:
        instance = tx.container_instances.get(arn)
        if instance is None or instance.status == "INACTIVE":
            return  # the session will say so
        known = replace(
            instance,
            agent_connected=True,
            disconnected_at=None,
            agent_version=hello.agent_version or instance.agent_version,
            agent_hash=hello.agent_hash or instance.agent_hash,
            docker_version=hello.docker_version or instance.docker_version,
        )
        if known != instance:
            tx.container_instances.put(replace(known, version=instance.version + 1))
        _set_connected(tx, arn, True, now_s)


def _mark_away(tx: StateTx, arn: ContainerInstanceArn, since_s: float, now_s: float) -> None:
    instance = tx.container_instances.get(arn)
    if instance is None or not instance.agent_connected:
        return
    tx.container_instances.put(
        replace(instance, agent_connected=False, disconnected_at=since_s, version=instance.version + 1)
    )
    _set_connected(tx, arn, False, now_s)


def _set_connected(tx: StateTx, arn: ContainerInstanceArn, connected: bool, now_s: float) -> None:
    for task in tx.tasks.by("instance", arn):
        _put_changed(tx, task, set_connected(task, connected, now_s))


def _give_up(tx: StateTx, arn: TaskArn, now_s: float) -> None:
    """The task is STOPPED; its room is free with the record, its address with the interface's."""
    task = tx.tasks.get(arn)
    if task is None:
        return
    after = abandon(task, code="InfrastructureHealth", reason=HOST_LOST, now_s=now_s)
    _put_changed(tx, task, after)
    if task.interface is not None:
        tx.network_interfaces.delete(task.interface)


def _put_changed(tx: StateTx, before: Task, after: Task) -> None:
    if after is not before:
        tx.tasks.put(after)
