"""What an agent is told over its ACS connection: a session for each connection, and who is connected.

A session is level-triggered. Whatever woke it, it compares the tasks of its instance with what this connection has
been given, and says what is missing: at its first look all of them, later those that have changed since the last. It
keeps nothing that matters: a new connection starts from the state alone, gives everything again (an agent takes a
task it knows only forward) and then a manifest of all that the instance should have, so that the agent can ask about
the rest.

Whoever runs a session does so in this order, again and again: `receive` what came, `wake`, send what that gave once
the state it was computed from is durable, look at `ended`, sleep until `due_s` or until a task of the instance
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from moorage.base.dice import Dice, uuid
from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.base.limits import HEARTBEAT_PERIOD_S
from moorage.link import acs
from moorage.link.payload import task_payload
from moorage.link.refusal import Refusal
from moorage.model.container_instance import ContainerInstance
from moorage.model.task import DesiredStatus, Task
from moorage.store import State

# A task definition is at most 64 KiB, so a payload stays below the 1 MiB that a websocket frame may have.
PAYLOAD_TASKS_MAX: Final = 10
# An agent acknowledges when it has read a payload, not when it has started anything. The published one is silent
# where it could not read one task of several; by then it has reported that one STOPPED, and the rest goes again.
PAYLOAD_ACK_S: Final = 30.0
# One lost heartbeat may be a busy agent; after two in a row the connection is taken for dead.
HEARTBEATS_UNANSWERED_MAX: Final = 2

Ending = Refusal | Literal["replaced", "silent"]
"""Refused, with the words for the agent · a newer connection of the instance took over · heartbeats unanswered."""


@dataclass(frozen=True, slots=True)
class _Unacknowledged:
    tasks: tuple[TaskArn, ...]
    sent_s: float


class AcsSession:
    """One connection of one agent, without the connection. `number` gives sequence numbers that only rise."""

    def __init__(
        self, instance: ContainerInstanceArn, number: Callable[[float], int], dice: Dice, now_s: float
    ) -> None:
        self.instance = instance
        self.ended: Ending | None = None
        self.on_end: Callable[[], None] = _nothing  # told when the session ends from outside
        self._number = number
        self._dice = dice
        self._given: dict[TaskArn, DesiredStatus] = {}
        self._unacknowledged: dict[str, _Unacknowledged] = {}
        self._seen: int | None = None  # the tasks' version when they were last looked at; None: look at all
        self._terminals_given: frozenset[str] = frozenset()
        self._manifest_given = False
        self._asked: acs.TaskStopVerificationMessage | None = None
        self._beats_unanswered = 0
        self._beat_due_s = now_s + HEARTBEAT_PERIOD_S

    @property
    def due_s(self) -> float:
        """When to wake the session even if nothing happens."""
        resend_s = [payload.sent_s + PAYLOAD_ACK_S for payload in self._unacknowledged.values()]
        return min([self._beat_due_s, *resend_s])

    def replace(self) -> None:
        """A newer connection of the same instance has come."""
        self._end("replaced")
        self.on_end()

    def receive(self, message: acs.Message) -> None:
        """Take note of what the agent says; `wake` answers."""
        if isinstance(message, acs.HeartbeatAckRequest):
            self._beats_unanswered = 0
        elif isinstance(message, acs.AckRequest | acs.NackRequest):
            self._unacknowledged.pop(message.message_id, None)
        elif isinstance(message, acs.TaskStopVerificationMessage):
            self._asked = message  # an agent asks once for each manifest, and a session gives one

    def wake(self, state: State, now_s: float) -> list[acs.ServerMessage]:
        """Everything that the agent should be told now."""
        if self.ended is not None:
            return []
        instance = state.container_instances.get(self.instance)
        if instance is None or instance.status == "INACTIVE":
            return self._farewell(state, now_s)
        self._forget_lost_payloads(now_s)
        messages: list[acs.ServerMessage] = []
        messages += self._payloads(state, instance, self._missing(state), now_s)
        if not self._manifest_given:
            messages.append(self._manifest(instance, state.tasks.by("instance", self.instance), now_s))
        messages += self._terminals(state, instance)
        messages += self._verdict(state, now_s)
        messages += self._heartbeat(now_s)
        return messages

    def _end(self, ending: Ending) -> None:
        if self.ended is None:
            self.ended = ending

    def _forget_lost_payloads(self, now_s: float) -> None:
        """Tasks whose payload nobody acknowledged count as not given."""
        lost = [key for key, sent in self._unacknowledged.items() if sent.sent_s + PAYLOAD_ACK_S <= now_s]
        for key in lost:
            for task in self._unacknowledged.pop(key).tasks:
                self._given.pop(task, None)
        if lost:
            self._seen = None

    def _missing(self, state: State) -> list[Task]:
        """The tasks that this connection has not been told of as they are wanted now.

        All of them were compared up to the version `_seen`; of those only what has changed since can be missing. So
        an event costs what it changed and not what the instance runs, and one that nobody told of is not lost.
        """
        tasks = state.tasks
        if self._seen is None:
            looked_at = tasks.by("instance", self.instance)
        else:
            looked_at = tasks.changed(self.instance, self._seen)
        self._seen = tasks.version
        if len(self._given) > 2 * tasks.count("instance", self.instance) + PAYLOAD_TASKS_MAX:
            live = {task.arn for task in tasks.by("instance", self.instance)}  # the rest is not spoken of again
            self._given = {arn: wanted for arn, wanted in self._given.items() if arn in live}
        return [task for task in looked_at if self._given.get(task.arn) != task.desired_status]

    def _payloads(
        self, state: State, instance: ContainerInstance, tasks: list[Task], now_s: float
    ) -> Iterable[acs.PayloadMessage]:
        for start in range(0, len(tasks), PAYLOAD_TASKS_MAX):
            batch = tasks[start : start + PAYLOAD_TASKS_MAX]
            message = acs.PayloadMessage(
                cluster_arn=instance.cluster,
                container_instance_arn=instance.arn,
                message_id=uuid(self._dice),
                seq_num=self._number(now_s),
                generated_at=_ms(now_s),
                tasks=tuple(_rendered(state, task) for task in batch),
            )
            self._given.update({task.arn: task.desired_status for task in batch})
            self._unacknowledged[message.message_id] = _Unacknowledged(tuple(task.arn for task in batch), now_s)
            yield message

    def _manifest(self, instance: ContainerInstance, tasks: list[Task], now_s: float) -> acs.TaskManifestMessage:
        self._manifest_given = True
        return acs.TaskManifestMessage(
            message_id=uuid(self._dice),
            cluster_arn=instance.cluster,
            container_instance_arn=instance.arn,
            generated_at=_ms(now_s),
            timeline=self._number(now_s),  # above every payload's before it, or the agent drops it
            tasks=tuple(
                acs.TaskIdentifier(
                    task_arn=task.arn, task_cluster_arn=task.cluster, desired_status=task.desired_status
                )
                for task in tasks
            ),
        )

    def _terminals(self, state: State, instance: ContainerInstance) -> list[acs.MoorageExecMessage]:
        """The sessions of ECS Exec that are open and that this connection has not been told of."""
        wanted = state.exec_sessions.by("instance", self.instance)
        fresh = [session for session in wanted if session.id not in self._terminals_given]
        self._terminals_given = frozenset(session.id for session in wanted)
        return [
            acs.MoorageExecMessage(
                message_id=uuid(self._dice),
                cluster_arn=instance.cluster,
                container_instance_arn=instance.arn,
                session_id=session.id,
                task_arn=session.task,
                container_name=session.container,
                command=session.command,
            )
            for session in fresh
        ]

    def _verdict(self, state: State, now_s: float) -> list[acs.ServerMessage]:
        """Of the tasks that the agent has and the manifest had not: those that truly are to stop."""
        asked, self._asked = self._asked, None
        if asked is None:
            return []
        doomed = tuple(one for one in asked.stop_candidates if not self._wanted(state, TaskArn(one.task_arn)))
        if not doomed:
            return []
        return [acs.TaskStopVerificationAck(message_id=asked.message_id, generated_at=_ms(now_s), stop_tasks=doomed)]

    def _wanted(self, state: State, arn: TaskArn) -> bool:
        """Whether the task should run on this instance; it may have been placed after the manifest was written."""
        task = state.tasks.get(arn)
        return task is not None and task.desired_status == "RUNNING" and task.instance == self.instance

    def _heartbeat(self, now_s: float) -> list[acs.ServerMessage]:
        if now_s < self._beat_due_s:
            return []
        if self._beats_unanswered >= HEARTBEATS_UNANSWERED_MAX:
            self._end("silent")
            return []
        self._beats_unanswered += 1
        self._beat_due_s = now_s + HEARTBEAT_PERIOD_S
        return [acs.HeartbeatMessage(message_id=uuid(self._dice), healthy=True)]

    def _farewell(self, state: State, now_s: float) -> list[acs.ServerMessage]:
        """The instance was deregistered. Tasks that held an address of a subnet have lost it and must end; others
        run on unwatched, as ECS has it."""
        self._end(Refusal("InactiveInstanceException", f"Container instance {self.instance} is not active."))
        instance = state.container_instances.get(self.instance)
        given = [task for arn in self._given if (task := state.tasks.get(arn)) is not None]
        stops = [task for task in given if task.network_mode == "awsvpc" and task.desired_status == "STOPPED"]
        return list(self._payloads(state, instance, stops, now_s)) if instance else []


class Sessions:
    """Which instances are connected. Soft: after a restart of the server everyone has been away since then."""

    def __init__(self, dice: Dice, started_s: float) -> None:
        self._dice = dice
        self._started_s = started_s
        self._open: dict[ContainerInstanceArn, AcsSession] = {}
        self._left_s: dict[ContainerInstanceArn, float] = {}
        self._numbers: dict[ContainerInstanceArn, int] = {}

    def open(self, instance: ContainerInstanceArn, now_s: float) -> AcsSession:
        """The session of a new connection; the newest of an instance wins, an older one ends."""
        older = self._open.get(instance)
        session = AcsSession(instance, lambda now_s: self._number(instance, now_s), self._dice, now_s)
        self._open[instance] = session
        if older is not None:
            older.replace()
        return session

    def close(self, session: AcsSession, now_s: float) -> None:
        """The connection is gone."""
        if self._open.get(session.instance) is session:
            del self._open[session.instance]
            self._left_s[session.instance] = now_s

    def away_since_s(self, instance: ContainerInstanceArn) -> float | None:
        """Since when nobody is connected for the instance; None while somebody is."""
        return None if instance in self._open else self._left_s.get(instance, self._started_s)

    def forget(self, known: Callable[[str], bool]) -> None:
        """Drop what is remembered of instances that are no longer known."""
        for memory in (self._left_s, self._numbers):
            for instance in [arn for arn in memory if not known(arn)]:
                del memory[instance]

    def _number(self, instance: ContainerInstanceArn, now_s: float) -> int:
        """One rising count for payloads and manifests. Agents remember the last manifest's across our restarts and
        theirs, so it is taken from the clock; a clock that was set back delays manifests, never payloads."""
        number = max(self._numbers.get(instance, 0) + 1, _ms(now_s))
        self._numbers[instance] = number
        return number


def _rendered(state: State, task: Task) -> acs.Task:
    definition = state.task_definitions.get(task.task_definition)
    assert definition is not None, f"{task.id}: its definition is gone"
    interface = state.network_interfaces.get(task.interface) if task.interface else None
    subnet = state.subnets.get(interface.subnet) if interface else None
    return task_payload(task, definition, interface, subnet)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _nothing() -> None:
    """Nobody waits for the end."""
