"""Who is away, who is lost, and what becomes of their tasks."""

from __future__ import annotations

from msgspec.structs import replace
from tests.unit.records import INSTANCE, an_awsvpc_task, an_instance, an_interface
from tests.unit.support import NOW_S, SeededDice

from moorage.base.limits import NODE_LOST_AFTER_S
from moorage.control.instances import AGENT_AWAY_AFTER_S, Hello, InstanceLoop, greet
from moorage.control.sessions import Sessions
from moorage.model.container_instance import ContainerInstance
from moorage.model.task import Task
from moorage.store import Store
from moorage.store.journal import MemoryJournal


class World:
    """One instance with one task."""

    def __init__(self, *, fargate: bool = False) -> None:
        self.store = Store(MemoryJournal())
        self.sessions = Sessions(SeededDice(), NOW_S)
        self.loop = InstanceLoop(self.store, self.sessions)
        with self.store.update() as tx:
            tx.container_instances.put(an_instance(fargate=fargate))
            tx.network_interfaces.put(an_interface())
            tx.tasks.put(replace(an_awsvpc_task(), launch_type="FARGATE" if fargate else "EC2"))

    @property
    def instance(self) -> ContainerInstance:
        found = self.store.view().container_instances.get(INSTANCE)
        assert found is not None
        return found

    @property
    def task(self) -> Task:
        found = self.store.view().tasks.get(an_awsvpc_task().arn)
        assert found is not None
        return found


def test_a_restarted_server_waits_for_its_agents_before_it_calls_them_away() -> None:
    world = World()
    world.loop.activate(NOW_S + AGENT_AWAY_AFTER_S)
    assert world.instance.agent_connected
    world.loop.activate(NOW_S + AGENT_AWAY_AFTER_S + 1)
    assert not world.instance.agent_connected


def test_an_agent_that_stays_away_is_marked_with_the_time_since_when() -> None:
    world = World()
    world.sessions.close(world.sessions.open(INSTANCE, NOW_S), NOW_S + 100)
    world.loop.activate(NOW_S + 101 + AGENT_AWAY_AFTER_S)
    assert (world.instance.agent_connected, world.instance.disconnected_at) == (False, NOW_S + 100)
    assert (world.task.connected, world.task.last_status) == (False, "PROVISIONING")


def test_a_connected_agent_is_left_alone_however_long_it_is() -> None:
    world = World(fargate=True)
    world.sessions.open(INSTANCE, NOW_S)
    seq = world.store.view().seq
    world.loop.activate(NOW_S + 1_000_000)
    assert world.store.view().seq == seq


def test_an_agent_that_comes_back_connects_its_tasks() -> None:
    world = World()
    world.loop.activate(NOW_S + 50)
    greet(world.store, INSTANCE, Hello(agent_version="1.2.3"), NOW_S + 60)
    assert (world.instance.agent_connected, world.instance.disconnected_at) == (True, None)
    assert world.instance.agent_version == "1.2.3"
    assert (world.task.connected, world.task.connectivity_at) == (True, NOW_S + 60)


def test_greeting_twice_writes_once() -> None:
    world = World()
    greet(world.store, INSTANCE, Hello(agent_version="1.2.3"), NOW_S)
    seq = world.store.view().seq
    greet(world.store, INSTANCE, Hello(agent_version="1.2.3"), NOW_S + 1)
    assert world.store.view().seq == seq


def test_the_tasks_of_an_instance_go_on_when_its_agent_is_lost() -> None:
    world = World()
    world.loop.activate(NOW_S + NODE_LOST_AFTER_S + 1)
    assert world.task.last_status == "PROVISIONING"


def test_the_tasks_of_a_lost_fleet_host_are_stopped_and_give_back_all_they_held() -> None:
    world = World(fargate=True)
    world.loop.activate(NOW_S + NODE_LOST_AFTER_S)
    assert not world.task.stopped
    world.loop.activate(NOW_S + NODE_LOST_AFTER_S + 1)
    assert (world.task.last_status, world.task.stop_code) == ("STOPPED", "InfrastructureHealth")
    assert "underlying infrastructure" in (world.task.stopped_reason or "")
    assert world.store.view().network_interfaces.get(an_interface().id) is None
    assert world.store.view().usage.tasks_on(INSTANCE) == 0


def test_a_second_look_finds_nothing_more_to_do() -> None:
    world = World(fargate=True)
    world.loop.activate(NOW_S + NODE_LOST_AFTER_S + 1)
    seq = world.store.view().seq
    world.loop.activate(NOW_S + NODE_LOST_AFTER_S + 2)
    assert world.store.view().seq == seq
