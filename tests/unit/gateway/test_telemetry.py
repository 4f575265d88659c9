"""What agents publish lands in the metrics buffer, if it is theirs to publish."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from moorage.link import tcs
from moorage.wire.http import Response
from tests.unit.gateway.test_agent_sockets import (
    DEADLINE_S,
    INSTANCE,
    NOW_S,
    Socket,
    World,
    a_request,
    a_task,
    finished,
    play,
    start,
)

CPU = tcs.StatsSet(min=1.0, max=3.0, sum=4.0, sample_count=2)
BYTES = tcs.CounterSet(min=0, max=9, sum=9, sample_count=2)


def metrics(task: str | None, container: str = "app") -> tcs.PublishMetricsRequest:
    told = tcs.ContainerMetric(
        container_name=container,
        cpu_stats_set=CPU,
        network_stats_set=tcs.NetworkStatsSet(rx_bytes=BYTES),
        restart_stats_set=tcs.RestartStatsSet(restart_count=3),
    )
    return tcs.PublishMetricsRequest(task_metrics=(tcs.TaskMetric(task_arn=task, container_metrics=(told,)),))


async def told(world: World, *messages: tcs.AgentMessage) -> list[tcs.Message | None]:
    """What the gateway says to an agent that publishes these, heartbeats left out."""
    answer = await world.gateway.tcs(a_request(f"containerInstance={INSTANCE}"))
    assert not isinstance(answer, Response)
    socket: Socket
    socket, conversation = start(answer)
    answers: list[tcs.Message | None] = []
    for message in messages:
        socket.said.put_nowait(tcs.encode(message))
        while len(answers) < messages.index(message) + 1:
            heard = tcs.decode(await asyncio.wait_for(socket.next_text(), DEADLINE_S))
            if not isinstance(heard, tcs.HeartbeatMessage):
                answers.append(heard)
    socket.said.put_nowait(None)
    await finished(conversation)
    return answers


def test_what_a_task_uses_is_kept_with_the_servers_time() -> None:
    async def scene() -> None:
        world = World()
        task = a_task()
        name = task.containers[0].name
        (answer,) = await told(world, metrics(task.arn, name))
        assert isinstance(answer, tcs.AckPublishMetric)
        sample = world.gateway.metrics.latest(task.arn)
        assert sample is not None
        assert sample.at_s == NOW_S
        (container,) = sample.containers
        assert (container.name, container.restarts) == (name, 3)
        cpu, received = container.sets["CpuUtilized"], container.sets["NetworkRxBytes"]
        assert (cpu.least, cpu.most, cpu.total, cpu.count) == (1.0, 3.0, 4.0, 2)
        assert received.total == 9
        assert "MemoryUtilized" not in container.sets

    play(scene)


@pytest.mark.parametrize("foreign", ["arn:of-nobody", "", None])
def test_an_agent_is_not_believed_about_tasks_that_are_not_its_own(foreign: str | None) -> None:
    async def scene() -> None:
        world = World()
        with world.store.update() as tx:
            other = a_task()
            tx.tasks.put(replace(other, instance=None))
        await told(world, metrics(foreign), metrics(other.arn, other.containers[0].name))
        assert world.gateway.metrics.latest(other.arn) is None

    play(scene)


def test_a_container_that_the_task_has_not_is_left_out() -> None:
    async def scene() -> None:
        world = World()
        await told(world, metrics(a_task().arn, "stranger"))
        sample = world.gateway.metrics.latest(a_task().arn)
        assert sample is not None
        assert sample.containers == ()

    play(scene)


def test_the_runtimes_state_is_kept_by_instance() -> None:
    async def scene() -> None:
        world = World()
        status = tcs.InstanceStatus(
            type="ContainerRuntime", status="IMPAIRED", status_reason="gone", last_updated=1.0
        )
        (answer,) = await told(world, tcs.PublishInstanceStatusRequest(statuses=(status,)))
        assert isinstance(answer, tcs.AckPublishInstanceStatus)
        (kept,) = world.gateway.metrics.statuses(INSTANCE)
        assert (kept.kind, kept.status, kept.reason, kept.heard_s) == ("ContainerRuntime", "IMPAIRED", "gone", NOW_S)

    play(scene)
