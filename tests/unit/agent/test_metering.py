"""What is published of use and of the node, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from moorage.agent.facts import TaskFacts
from moorage.agent.life import TaskLife, new_life
from moorage.agent.metering import PUBLISH_EVERY_S, TASKS_MAX, InstanceHealth, Metering
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.usage import CpuUse, Usage
from moorage.link import tcs
from tests.unit.agent.world import plan
from tests.unit.support import SeededDice

T = TypeVar("T")


class Time:
    """A clock that stands, and timers that fire when told to."""

    def __init__(self) -> None:
        self.at_s = 1000.0
        self.due: list[Callable[[], None]] = []

    def now_s(self) -> float:
        return self.at_s

    def steady_s(self) -> float:
        return self.at_s

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        assert delay > 0
        self.due.append(callback)
        return None

    def pass_(self, seconds: float) -> None:
        self.at_s += seconds
        due, self.due = self.due, []
        for callback in due:
            callback()


class AtOnce:
    """Workers that work where they stand."""

    def submit(self, work: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        done(work())


class Meters:
    """Every container uses the whole of one of two CPUs."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.wrong = ""

    def usage(self, container: ContainerId) -> Usage | None:
        at_s = self.time.at_s
        return Usage(at_s=at_s, cpu=CpuUse(total_ns=int(at_s * 1e9), host_cpus=2)) if container else None

    def complaint(self) -> str:
        return self.wrong


class World:
    def __init__(self, tasks: int) -> None:
        self.time = Time()
        self.meters = Meters(self.time)
        self.tasks: dict[SandboxId, TaskLife] = {}
        for number in range(tasks):
            made = replace(plan(number + 1), facts=TaskFacts(family="web", revision="7"))
            task = new_life(made, number)
            task.containers[0].phase = "running"
            self.tasks[made.id] = task
        self.metering = Metering(lambda: self.tasks, self.meters, AtOnce(), self.time, self.time, SeededDice())

    def published(self) -> list[tcs.PublishMetricsRequest]:
        messages = self.metering.publish("lab", "arn:i")
        return [one for one in messages if isinstance(one, tcs.PublishMetricsRequest)]


def test_a_node_without_tasks_says_that_it_is_idle() -> None:
    world = World(0)
    world.metering.watch()
    (message,) = world.published()
    assert (message.metadata.idle, message.metadata.fin) == (True, True)
    assert (message.metadata.cluster, message.metadata.container_instance) == ("lab", "arn:i")


def test_a_round_has_ten_tasks_a_message_and_its_last_one_is_marked() -> None:
    world = World(TASKS_MAX * 2 + 1)
    world.metering.watch()
    world.time.pass_(10.0)
    messages = world.published()
    assert [len(message.task_metrics) for message in messages] == [TASKS_MAX, TASKS_MAX, 1]
    assert [message.metadata.fin for message in messages] == [False, False, True]
    assert len({message.metadata.message_id for message in messages}) == 1
    first = messages[0].task_metrics[0]
    assert (first.task_definition_family, first.task_definition_version) == ("web", "7")
    cpu = first.container_metrics[0].cpu_stats_set
    assert cpu is not None
    assert (cpu.min, cpu.max, cpu.sample_count) == (50.0, 50.0, 1)


def test_between_two_ticks_nothing_is_published() -> None:
    world = World(1)
    world.metering.watch()
    assert world.published()
    world.time.pass_(PUBLISH_EVERY_S - 1)
    assert not world.published()
    world.time.pass_(1.0)
    assert world.published()


def test_a_container_that_ended_is_not_told_of() -> None:
    world = World(1)
    world.metering.watch()
    world.time.pass_(10.0)
    (task,) = world.tasks.values()
    task.containers[0].phase = "stopped"
    (message,) = world.published()
    assert message.metadata.idle
    world.time.pass_(10.0)
    assert world.metering.samples.last(task.containers[0].plan.spec.id) is None


def test_health_is_published_once_for_each_heartbeat_and_a_change_keeps_its_moment() -> None:
    time = Time()
    meters = Meters(time)
    health = InstanceHealth(meters, AtOnce(), time, SeededDice())
    assert not health.publish("lab", "arn:i")
    told = []
    for wrong in ("", "", "no runtime", "no runtime", ""):
        time.at_s += 20.0
        meters.wrong = wrong
        health.heartbeat()
        (message,) = health.publish("lab", "arn:i")
        assert isinstance(message, tcs.PublishInstanceStatusRequest)
        (status,) = message.statuses
        told.append((status.type, status.status, status.status_reason, status.last_status_change))
        assert status.last_updated == time.at_s
        assert not health.publish("lab", "arn:i")
    assert told == [
        ("ContainerRuntime", "OK", None, 1020.0),
        ("ContainerRuntime", "OK", None, 1020.0),
        ("ContainerRuntime", "IMPAIRED", "no runtime", 1060.0),
        ("ContainerRuntime", "IMPAIRED", "no runtime", 1060.0),
        ("ContainerRuntime", "OK", None, 1100.0),
    ]
