"""The checkers see what is wrong: a check that cannot fail proves nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.model.container_instance import Resources
from moorage.model.task import Task
from moorage.sim import checkers
from moorage.sim.world import STORM_S, SimWorld
from moorage.store import Store


@pytest.fixture
def store() -> Store:
    """A state with running tasks in it, out of the middle of a simulated run."""
    world = SimWorld(3)
    world.begin()
    world.time.run_until(STORM_S / 3, lambda: None)
    assert list(checkers.always(world.server.store.view())) == []
    return world.server.store


def _live(store: Store, launch_type: str) -> list[Task]:
    return [task for task in store.view().tasks if not task.stopped and task.launch_type == launch_type]


def test_an_instance_over_its_capacity_is_seen(store: Store) -> None:
    task = _live(store, "EC2")[0]
    with store.update() as tx:
        tx.tasks.put(replace(task, reserved=Resources(cpu=1, memory=1_000_000)))
    assert any("memory" in line for line in checkers.over_capacity(store.view()))


def test_a_port_held_twice_is_seen(store: Store) -> None:
    first, second = _live(store, "EC2")[:2]
    with store.update() as tx:
        for task in (first, second):
            tx.tasks.put(replace(task, instance=first.instance, reserved=Resources(ports_tcp=(80,))))
    assert any("tcp port 80" in line for line in checkers.over_capacity(store.view()))


def test_an_address_given_twice_is_seen(store: Store) -> None:
    first, second = list(store.view().network_interfaces)[:2]
    with store.update() as tx:
        tx.network_interfaces.put(replace(second, address=first.address))
    assert list(checkers.doubled_addresses(store.view()))


def test_an_interface_without_a_task_is_seen(store: Store) -> None:
    task = _live(store, "FARGATE")[0]
    with store.update() as tx:
        tx.tasks.delete(task.arn)
    assert any("belongs to no task" in line for line in checkers.interfaces_and_tasks_agree(store.view()))


def test_a_forgotten_task_is_seen(store: Store) -> None:
    task = _live(store, "EC2")[0]
    with store.update() as tx:
        tx.tasks.delete(task.arn)
    assert list(checkers.forgotten(store.view(), [task.arn]))


def test_a_task_that_never_settles_is_seen(store: Store) -> None:
    task = _live(store, "EC2")[0]
    with store.update() as tx:
        tx.tasks.put(replace(task, desired_status="STOPPED"))
    assert any(task.id in line for line in checkers.settled(store.view()))
