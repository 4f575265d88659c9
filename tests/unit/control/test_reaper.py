"""What is over is forgotten, in its time and not before."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from tests.unit.records import CLUSTER, INSTANCE, a_cluster, a_definition, a_task, an_instance
from tests.unit.support import ACCOUNT, NOW_S, REGION

from moorage.base.limits import CLIENT_TOKEN_KEPT_S, STOPPED_TASK_KEPT_S
from moorage.control.reaper import INACTIVE_KEPT_S, RECORDS_AT_ONCE_MAX, LogRetention, Reaper
from moorage.model.log import LogGroup, LogStream
from moorage.model.task import ClientToken, Task
from moorage.rules.lifecycle import abandon
from moorage.store import Store
from moorage.store.journal import MemoryJournal


def stopped(number: int, at_s: float = NOW_S) -> Task:
    return abandon(a_task(number), code="UserInitiated", reason="over", now_s=at_s)


def test_a_stopped_task_is_kept_for_its_hour_and_then_forgotten() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        tx.tasks.put(stopped(1))
        tx.tasks.put(a_task(2))
    Reaper(store).activate(NOW_S + STOPPED_TASK_KEPT_S)
    assert len(store.view().tasks) == 2
    Reaper(store).activate(NOW_S + STOPPED_TASK_KEPT_S + 1)
    assert [task.id for task in store.view().tasks] == [a_task(2).id]


def test_a_great_many_go_in_several_turns() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        for number in range(RECORDS_AT_ONCE_MAX + 5):
            tx.tasks.put(stopped(number))
    reaper = Reaper(store)
    reaper.activate(NOW_S + STOPPED_TASK_KEPT_S + 1)
    assert len(store.view().tasks) == 5
    reaper.activate(NOW_S + STOPPED_TASK_KEPT_S + 6)
    assert len(store.view().tasks) == 0


def test_a_client_token_is_forgotten_after_a_day() -> None:
    store = Store(MemoryJournal())
    token = ClientToken(
        token="t",
        operation="RunTask",
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        fingerprint="f",
        tasks=(),
        created_at=NOW_S,
    )
    with store.update() as tx:
        tx.client_tokens.put(token)
    Reaper(store).activate(NOW_S + CLIENT_TOKEN_KEPT_S)
    assert len(store.view().client_tokens) == 1
    Reaper(store).activate(NOW_S + CLIENT_TOKEN_KEPT_S + 1)
    assert len(store.view().client_tokens) == 0


def test_a_deleted_cluster_is_forgotten_after_its_grace_and_its_tasks() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        tx.clusters.put(replace(a_cluster(), status="INACTIVE"))
        tx.container_instances.put(replace(an_instance(), status="INACTIVE"))
        tx.tasks.put(stopped(1, NOW_S + 100))
    reaper = Reaper(store)
    reaper.activate(NOW_S)
    reaper.activate(NOW_S + INACTIVE_KEPT_S + 1)
    assert CLUSTER in store.view().clusters
    assert INSTANCE not in store.view().container_instances
    reaper.activate(NOW_S + 100 + STOPPED_TASK_KEPT_S + 1)
    reaper.activate(NOW_S + 100 + STOPPED_TASK_KEPT_S + 6)
    assert CLUSTER not in store.view().clusters


def test_an_active_cluster_is_never_forgotten() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        tx.clusters.put(a_cluster())
    reaper = Reaper(store)
    reaper.activate(NOW_S)
    reaper.activate(NOW_S + 10 * INACTIVE_KEPT_S)
    assert CLUSTER in store.view().clusters


class Expired:
    """Notes what it is asked to forget."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], int]] = []

    def expire(self, streams: Sequence[int], before_ms: int) -> None:
        self.asked.append((tuple(streams), before_ms))


def test_log_events_older_than_their_groups_retention_are_forgotten() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        for name, days in (("kept", None), ("week", 7)):
            tx.log_groups.put(
                LogGroup(account=ACCOUNT, region=REGION, name=name, arn="a", created_at=NOW_S, retention_days=days)
            )
            tx.log_streams.put(
                LogStream(account=ACCOUNT, region=REGION, group=name, name="s", arn="a", number=4, created_at=NOW_S)
            )
    events = Expired()
    LogRetention(store, events).activate(NOW_S)
    assert events.asked == [((4,), int(NOW_S * 1000) - 7 * 86_400_000)]


def test_a_definition_that_is_being_deleted_goes_once_no_task_runs_from_it() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        tx.task_definitions.put(replace(a_definition(), status="DELETE_IN_PROGRESS"))
        tx.tasks.put(a_task(1))
    Reaper(store).activate(NOW_S)
    assert len(store.view().task_definitions) == 1
    with store.update() as tx:
        tx.tasks.put(stopped(1))
    Reaper(store).activate(NOW_S)
    assert len(store.view().task_definitions) == 0
