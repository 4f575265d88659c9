"""Forgets what is over: stopped tasks, used client tokens, deleted clusters and definitions, deregistered instances,
sessions that nobody opened, old log events.

Each kind has its time of grace, counted from its own record where that tells a time. Deleted clusters and
deregistered instances tell none: theirs counts from when this process first saw them so, which only makes it longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final, Protocol

from moorage.base.limits import CLIENT_TOKEN_KEPT_S, STOPPED_TASK_KEPT_S
from moorage.model.task import Task
from moorage.store import State, Store
from moorage.store.state import joined

# Terraform and the waiters look at a deleted cluster for minutes; ECS itself promises no time.
INACTIVE_KEPT_S: Final = 3600.0
# Records of one kind deleted in one transaction: some milliseconds, so that requests hardly wait behind it. With
# the period below it is 400 a second, twice what one server launches for hours on end.
RECORDS_AT_ONCE_MAX: Final = 2000
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The keys of what is to be deleted, by table."""

    tasks: tuple[str, ...] = ()
    client_tokens: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    container_instances: tuple[str, ...] = ()
    task_definitions: tuple[str, ...] = ()
    exec_sessions: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        kinds = (self.tasks, self.client_tokens, self.clusters, self.container_instances, self.task_definitions)
        return sum(map(len, kinds)) + len(self.exec_sessions)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The events of these streams that are older are to be forgotten."""

    streams: tuple[int, ...]
    before_ms: int


class LogEvents(Protocol):
    """The part of the store of log events that forgets."""

    def expire(self, streams: Sequence[int], before_ms: int) -> None: ...


class Reaper:
    """Deletes records whose time is over, a bounded number at once."""

    name = "reaper"
    period_s = 5.0
    tables: tuple[str, ...] = ()

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inactive_since_s: dict[str, float] = {}

    def activate(self, now_s: float) -> None:
        self._note_inactive(self._store.view(), now_s)
        plan = self.compute_plan(self._store.view(), now_s)
        if plan.size:
            with self._store.update() as tx:
                for key in plan.tasks:
                    tx.tasks.delete(key)
                for key in plan.client_tokens:
                    tx.client_tokens.delete(key)
                for key in plan.clusters:
                    tx.clusters.delete(key)
                for key in plan.container_instances:
                    tx.container_instances.delete(key)
                for key in plan.task_definitions:
                    tx.task_definitions.delete(key)
                for key in plan.exec_sessions:
                    tx.exec_sessions.delete(key)

    def compute_plan(self, state: State, now_s: float) -> Plan:
        """The oldest first, no more than one transaction takes."""
        # Filed in the order of their ends, so the first that is too young ends the search.
        stopped = takewhile(lambda task: _over(task, now_s), state.tasks.by("stopped", True))
        tasks = _first(task.arn for task in stopped)
        tokens = _first(
            joined(token.account, token.region, token.operation, token.cluster, token.token)
            for token in state.client_tokens
            if token.created_at + CLIENT_TOKEN_KEPT_S < now_s
        )
        over = {key for key, since_s in self._inactive_since_s.items() if since_s + INACTIVE_KEPT_S < now_s}
        # A cluster's stopped tasks and an instance's are described by its name, so it goes after them.
        clusters = _first(
            key for key in sorted(over) if key in state.clusters and not state.tasks.count("cluster", key)
        )
        instances = _first(
            key for key in sorted(over) if key in state.container_instances and not state.tasks.count("instance", key)
        )
        definitions = _first(
            definition.arn
            for definition in state.task_definitions.by("deleting", True)
            if not state.tasks.count("definition", definition.arn)
        )
        # An open session is its gateway's to delete; this is for those that nobody came for.
        sessions = _first(session.id for session in state.exec_sessions if session.is_void(now_s))
        return Plan(tasks, tokens, clusters, instances, definitions, sessions)

    def _note_inactive(self, state: State, now_s: float) -> None:
        inactive: list[str] = [cluster.arn for cluster in state.clusters if cluster.status == "INACTIVE"]
        inactive += [one.arn for one in state.container_instances if one.status == "INACTIVE"]
        self._inactive_since_s = {key: self._inactive_since_s.get(key, now_s) for key in inactive}


def compute_expiries(state: State, now_s: float) -> list[Expiry]:
    """What the retention of each log group asks to forget."""
    expiries = []
    for group in state.log_groups:
        if group.retention_days is None:
            continue
        streams = state.log_streams.by("group", (group.account, group.region, group.name))
        if streams:
            before_ms = int(now_s * 1000) - group.retention_days * _DAY_MS
            expiries.append(Expiry(tuple(stream.number for stream in streams), before_ms))
    return expiries


class LogRetention:
    """Has log events forgotten when their group's retention is over. CloudWatch takes up to 72 hours for it."""

    name = "log-retention"
    period_s = 600.0
    tables: tuple[str, ...] = ()

    def __init__(self, store: Store, events: LogEvents) -> None:
        self._store = store
        self._events = events

    def activate(self, now_s: float) -> None:
        for expiry in compute_expiries(self._store.view(), now_s):
            self._events.expire(expiry.streams, expiry.before_ms)


def _over(task: Task, now_s: float) -> bool:
    return task.stopped_at is not None and task.stopped_at + STOPPED_TASK_KEPT_S < now_s


def _first(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(keys, RECORDS_AT_ONCE_MAX))
