"""Published health is taken into the state: of the agent's own tasks, and only what is new."""

from __future__ import annotations

from tests.unit.records import INSTANCE, a_cluster, a_task, an_instance

from moorage.base.ids import ContainerInstanceArn
from moorage.control.health import take_health
from moorage.link import tcs
from moorage.store import Store
from moorage.store.journal import Batch, MemoryJournal

OTHER = ContainerInstanceArn(INSTANCE.replace("a" * 32, "b" * 32))


class Counting(MemoryJournal):
    """A journal that counts what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0

    def append(self, batch: Batch) -> None:
        self.batches += 1
        super().append(batch)


def a_store() -> tuple[Store, Counting]:
    journal = Counting()
    store = Store(journal)
    with store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.container_instances.put(an_instance())
        for number in (1, 2):
            tx.tasks.put(a_task(number))
        tx.tasks.put(a_task(3, instance=OTHER))
    return store, journal


def told(*numbers: int, status: str = "HEALTHY") -> tcs.PublishHealthRequest:
    containers = (tcs.ContainerHealth(container_name="app", health_status=status),)
    return tcs.PublishHealthRequest(
        tasks=tuple(tcs.TaskHealth(task_arn=a_task(number).arn, containers=containers) for number in numbers)
    )


def statuses(store: Store) -> list[str]:
    found = (store.view().tasks.get(a_task(number).arn) for number in (1, 2, 3))
    return [task.containers[0].health_status for task in found if task is not None]


def test_what_is_told_of_own_tasks_is_taken() -> None:
    store, _ = a_store()
    take_health(store, INSTANCE, told(1, 3, 9))
    assert statuses(store) == ["HEALTHY", "UNKNOWN", "UNKNOWN"]


def test_the_same_again_is_not_written() -> None:
    store, journal = a_store()
    take_health(store, INSTANCE, told(1, 2))
    before = journal.batches
    take_health(store, INSTANCE, told(1, 2))
    assert journal.batches == before
    task = store.view().tasks.get(a_task().arn)
    assert task is not None
    assert task.version == a_task().version + 1


def test_words_that_are_no_health_are_no_news() -> None:
    store, _ = a_store()
    take_health(store, INSTANCE, told(1, status="GREAT"))
    take_health(store, INSTANCE, tcs.PublishHealthRequest(tasks=(tcs.TaskHealth(),)))
    assert statuses(store) == ["UNKNOWN"] * 3
