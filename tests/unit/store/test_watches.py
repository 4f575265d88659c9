"""Who is woken by a write, and when."""

from __future__ import annotations

from msgspec.structs import replace

from moorage.store import Store
from moorage.store.journal import MemoryJournal
from tests.unit.records import INSTANCE, a_cluster, a_task
from tests.unit.store.test_transactions import SlowJournal


class Bell:
    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


def test_a_watcher_is_woken_once_for_a_transaction_that_touched_its_tables() -> None:
    store = Store(MemoryJournal())
    bell = Bell()
    store.watch(("clusters", "tasks"), bell)
    with store.update() as tx:
        tx.clusters.put(a_cluster("one"))
        tx.clusters.put(a_cluster("two"))
        tx.tasks.put(a_task())
    assert bell.rung == 1
    with store.update() as tx:
        tx.tasks.put(replace(a_task(), arn="arn:other"))
    assert bell.rung == 2


def test_a_watcher_is_not_woken_by_other_tables_nor_after_leaving() -> None:
    store = Store(MemoryJournal())
    bell = Bell()
    leave = store.watch(("tasks",), bell)
    with store.update() as tx:
        tx.clusters.put(a_cluster("one"))
    leave()
    with store.update() as tx:
        tx.tasks.put(a_task())
    assert bell.rung == 0


def test_a_watcher_is_woken_only_when_the_write_is_durable() -> None:
    journal = SlowJournal()
    store = Store(journal)
    bell = Bell()
    store.watch(("clusters",), bell)
    with store.update() as tx:
        tx.clusters.put(a_cluster("one"))
    assert bell.rung == 0
    journal.write()
    assert bell.rung == 1


def test_a_keyed_watcher_hears_of_records_that_are_or_were_filed_under_its_value() -> None:
    store = Store(MemoryJournal())
    here, elsewhere = Bell(), Bell()
    leave = store.watch_one("tasks", "instance", INSTANCE, here)
    store.watch_one("tasks", "instance", "arn:elsewhere", elsewhere)
    task = a_task()
    with store.update() as tx:
        tx.tasks.put(task)
    with store.update() as tx:  # it stops, and so leaves the index
        tx.tasks.put(replace(task, last_status="STOPPED"))
    assert (here.rung, elsewhere.rung) == (2, 0)
    leave()
    with store.update() as tx:
        tx.tasks.put(task)
    assert here.rung == 2
