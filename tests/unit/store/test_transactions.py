"""The one door: transactions see their own writes, and leave nothing behind when they fail."""

from __future__ import annotations

from contextlib import suppress

import pytest

from moorage.store import Stalled, Store
from moorage.store.journal import Batch, MemoryJournal
from tests.unit.records import SCOPE, a_cluster


class _Refuser(Exception):
    pass


class SlowJournal(MemoryJournal):
    """A journal that keeps batches until it is told to have written them."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Batch] = []

    def append(self, batch: Batch) -> None:
        self.taken.append(batch)

    def write(self) -> None:
        for batch in self.taken:
            super().append(batch)
        self.taken.clear()


def test_a_transaction_sees_its_own_writes() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        cluster = tx.clusters.put(a_cluster("one"))
        assert tx.clusters.get(cluster.arn) is cluster
        assert tx.clusters.by("scope", SCOPE) == [cluster]


def test_an_exception_undoes_everything_the_transaction_did() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        kept = tx.clusters.put(a_cluster("kept"))
    with suppress(_Refuser), store.update() as tx:
        tx.clusters.put(a_cluster("new"))
        tx.clusters.delete(kept.arn)
        tx.clusters.put(a_cluster("kept", fargate=True))
        raise _Refuser
    assert store.view().clusters.by("scope", SCOPE) == [kept]
    assert store.view().seq == 1


def test_a_transaction_that_changes_nothing_writes_nothing() -> None:
    journal = SlowJournal()
    store = Store(journal)
    with store.update() as tx:
        assert tx.clusters.get("nothing") is None
    assert not journal.taken


def test_a_transaction_inside_a_transaction_is_a_broken_invariant() -> None:
    store = Store(MemoryJournal())
    with store.update(), pytest.raises(AssertionError), store.update():
        raise AssertionError("not reached")


def test_waiters_are_told_in_order_and_only_once_their_writes_are_durable() -> None:
    journal = SlowJournal()
    store = Store(journal)
    told: list[str] = []
    store.when_durable(lambda: told.append("nothing yet"))
    with store.update() as tx:
        tx.clusters.put(a_cluster("one"))
    store.when_durable(lambda: told.append("one"))
    with store.update() as tx:
        tx.clusters.put(a_cluster("two"))
    store.when_durable(lambda: told.append("two"))
    assert told == ["nothing yet"]
    assert not store.settled
    journal.write()
    assert told == ["nothing yet", "one", "two"]
    assert store.settled


def test_a_journal_that_refuses_stops_new_transactions_at_the_door() -> None:
    store = Store(MemoryJournal())
    store.stall_reason = "the disk is full"
    with pytest.raises(Stalled, match="the disk is full"), store.update():
        raise AssertionError("not reached")


def test_a_store_reads_back_what_its_journal_kept() -> None:
    journal = MemoryJournal()
    with Store(journal).update() as tx:
        tx.clusters.put(a_cluster("one"))
        two = tx.clusters.put(a_cluster("two"))
    store = Store(journal)
    with store.update() as tx:
        tx.clusters.delete(two.arn)
    again = Store(journal).view()
    assert [cluster.name for cluster in again.clusters] == ["one"]
    assert [cluster.name for cluster in again.clusters.by("scope", SCOPE)] == ["one"]
