"""What an agent is told, whatever wakes its session."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace
from tests.unit.records import (
    INSTANCE,
    a_cluster,
    a_definition,
    a_subnet,
    a_task,
    an_awsvpc_task,
    an_instance,
    an_interface,
)
from tests.unit.support import NOW_S, SeededDice

from moorage.base.ids import ContainerInstanceArn
from moorage.base.limits import HEARTBEAT_PERIOD_S
from moorage.control.sessions import PAYLOAD_ACK_S, PAYLOAD_TASKS_MAX, AcsSession, Sessions
from moorage.link import acs
from moorage.link.refusal import Refusal
from moorage.model.task import Task
from moorage.rules.lifecycle import abandon, request_stop
from moorage.store import Store
from moorage.store.journal import MemoryJournal


@dataclass
class World:
    """A cluster with one instance, and who is connected."""

    store: Store = field(default_factory=lambda: Store(MemoryJournal()))
    sessions: Sessions = field(default_factory=lambda: Sessions(SeededDice(), NOW_S))

    def __post_init__(self) -> None:
        with self.store.update() as tx:
            tx.clusters.put(a_cluster())
            tx.container_instances.put(an_instance())
            tx.task_definitions.put(a_definition())
            tx.subnets.put(a_subnet())
            tx.network_interfaces.put(an_interface())

    def put(self, *tasks: Task) -> None:
        with self.store.update() as tx:
            for task in tasks:
                tx.tasks.put(task)

    def wake(self, session: AcsSession, now_s: float = NOW_S) -> list[acs.ServerMessage]:
        return session.wake(self.store.view(), now_s)

    def settled(self, now_s: float = NOW_S) -> AcsSession:
        """A session that has been told everything and has said that it has it."""
        session = self.sessions.open(INSTANCE, now_s)
        acknowledge(session, self.wake(session, now_s))
        return session


def acknowledge(session: AcsSession, messages: list[acs.ServerMessage]) -> None:
    for message in messages:
        session.receive(acs.AckRequest(cluster="c", container_instance="i", message_id=message.message_id))


def payloads(messages: list[acs.ServerMessage]) -> list[acs.PayloadMessage]:
    return [message for message in messages if isinstance(message, acs.PayloadMessage)]


def told(messages: list[acs.ServerMessage]) -> list[tuple[str, str]]:
    return [(task.arn, task.desired_status) for message in payloads(messages) for task in message.tasks]


def test_a_new_connection_is_given_all_tasks_and_then_a_manifest_with_a_higher_number() -> None:
    world = World()
    world.put(a_task(1), a_task(2))
    messages = world.wake(world.sessions.open(INSTANCE, NOW_S))
    payload, manifest = messages
    assert isinstance(payload, acs.PayloadMessage)
    assert isinstance(manifest, acs.TaskManifestMessage)
    assert told(messages) == [(a_task(1).arn, "RUNNING"), (a_task(2).arn, "RUNNING")]
    assert [one.task_arn for one in manifest.tasks] == [a_task(1).arn, a_task(2).arn]
    assert payload.seq_num is not None
    assert manifest.timeline > payload.seq_num


def test_an_instance_without_tasks_is_given_an_empty_manifest() -> None:
    world = World()
    (manifest,) = world.wake(world.sessions.open(INSTANCE, NOW_S))
    assert isinstance(manifest, acs.TaskManifestMessage)
    assert manifest.tasks == ()


def test_being_woken_for_nothing_says_nothing() -> None:
    world = World()
    world.put(a_task())
    session = world.settled()
    assert world.wake(session) == []


def test_a_task_that_comes_later_is_given_once() -> None:
    world = World()
    session = world.settled()
    world.put(a_task())
    assert told(world.wake(session)) == [(a_task().arn, "RUNNING")]
    assert world.wake(session) == []


def test_a_stop_is_a_payload_with_the_task_wanted_stopped() -> None:
    world = World()
    world.put(a_task())
    session = world.settled()
    world.put(request_stop(a_task(), code="UserInitiated", reason="enough", now_s=NOW_S))
    assert told(world.wake(session)) == [(a_task().arn, "STOPPED")]


def test_a_stopped_task_is_not_spoken_of() -> None:
    world = World()
    world.put(abandon(a_task(), code="UserInitiated", reason="gone", now_s=NOW_S))
    (manifest,) = world.wake(world.sessions.open(INSTANCE, NOW_S))
    assert isinstance(manifest, acs.TaskManifestMessage)


def test_many_tasks_go_in_several_payloads_with_rising_numbers() -> None:
    world = World()
    world.put(*(a_task(number) for number in range(1, 26)))
    messages = payloads(world.wake(world.sessions.open(INSTANCE, NOW_S)))
    assert [len(message.tasks) for message in messages] == [PAYLOAD_TASKS_MAX, PAYLOAD_TASKS_MAX, 5]
    numbers = [message.seq_num or 0 for message in messages]
    assert numbers == sorted(set(numbers))


def test_a_payload_that_nobody_acknowledges_is_given_again() -> None:
    world = World()
    world.put(a_task())
    session = world.sessions.open(INSTANCE, NOW_S)
    world.wake(session)
    assert session.due_s <= NOW_S + PAYLOAD_ACK_S
    assert payloads(world.wake(session, NOW_S + 1)) == []
    assert told(world.wake(session, NOW_S + PAYLOAD_ACK_S)) == [(a_task().arn, "RUNNING")]


def test_what_was_given_again_leaves_out_the_task_that_the_agent_refused() -> None:
    world = World()
    world.put(a_task(1), a_task(2))
    session = world.sessions.open(INSTANCE, NOW_S)
    world.wake(session)
    world.put(abandon(a_task(1), code="TaskFailedToStart", reason="UnrecogniedTaskError", now_s=NOW_S))
    assert told(world.wake(session, NOW_S + PAYLOAD_ACK_S)) == [(a_task(2).arn, "RUNNING")]


def test_a_second_connection_is_given_everything_again_with_higher_numbers() -> None:
    world = World()
    world.put(a_task())
    first = world.sessions.open(INSTANCE, NOW_S)
    before = payloads(world.wake(first))[0].seq_num or 0
    again = world.wake(world.sessions.open(INSTANCE, NOW_S - 5))
    assert told(again) == [(a_task().arn, "RUNNING")]
    assert (payloads(again)[0].seq_num or 0) > before


def test_the_newest_connection_wins_and_the_old_one_is_told_to_end() -> None:
    world = World()
    old = world.settled()
    ends: list[str] = []
    old.on_end = lambda: ends.append("ended")
    new = world.sessions.open(INSTANCE, NOW_S)
    assert (old.ended, new.ended, ends) == ("replaced", None, ["ended"])
    assert world.wake(old, NOW_S + 100) == []
    world.sessions.close(old, NOW_S)
    assert world.sessions.away_since_s(INSTANCE) is None


def test_an_instance_is_away_since_its_connection_closed_or_since_the_server_began() -> None:
    world = World()
    assert world.sessions.away_since_s(INSTANCE) == NOW_S
    session = world.sessions.open(INSTANCE, NOW_S + 1)
    world.sessions.close(session, NOW_S + 9)
    assert world.sessions.away_since_s(INSTANCE) == NOW_S + 9
    world.sessions.forget(lambda _arn: False)
    assert world.sessions.away_since_s(INSTANCE) == NOW_S


def test_of_the_tasks_an_agent_asks_about_only_the_unwanted_are_to_stop() -> None:
    world = World()
    session = world.settled()
    elsewhere = a_task(3, instance=ContainerInstanceArn(INSTANCE[:-1] + "b"))
    ending = request_stop(a_task(4), code="UserInitiated", reason="enough", now_s=NOW_S)
    world.put(a_task(2), elsewhere, ending)  # the first was placed after the manifest was written
    acknowledge(session, world.wake(session))
    asked = tuple(
        acs.TaskIdentifier(task_arn=arn, task_cluster_arn="c", desired_status="STOPPED")
        for arn in (
            "arn:aws:ecs:us-east-1:123456789012:task/default/unknown",
            a_task(2).arn,
            elsewhere.arn,
            ending.arn,
        )
    )
    session.receive(acs.TaskStopVerificationMessage(message_id="m", stop_candidates=asked))
    (verdict,) = world.wake(session)
    assert isinstance(verdict, acs.TaskStopVerificationAck)
    assert verdict.message_id == "m"
    assert verdict.stop_tasks == (asked[0], asked[2], asked[3])


def test_heartbeats_go_out_in_their_period_while_they_are_answered() -> None:
    world = World()
    session = world.settled()
    now_s = NOW_S
    for _ in range(5):
        assert world.wake(session, now_s + HEARTBEAT_PERIOD_S - 1) == []
        now_s = session.due_s
        (beat,) = world.wake(session, now_s)
        session.receive(acs.HeartbeatAckRequest(message_id=beat.message_id))
    assert session.ended is None


def test_a_connection_that_answers_no_heartbeat_ends() -> None:
    world = World()
    session = world.settled()
    for _ in range(3):
        assert session.ended is None
        world.wake(session, session.due_s)
    assert session.ended == "silent"


def test_a_deregistered_instance_is_told_so_and_ends_the_tasks_that_lost_their_address() -> None:
    world = World()
    bridge, awsvpc = a_task(1), an_awsvpc_task(2)
    world.put(bridge, awsvpc)
    session = world.settled()
    with world.store.update() as tx:
        tx.container_instances.put(replace(an_instance(), status="INACTIVE"))
        for task in (bridge, awsvpc):
            tx.tasks.put(abandon(task, code="UserInitiated", reason="forced", now_s=NOW_S))
        tx.network_interfaces.delete(an_interface().id)
    assert told(world.wake(session)) == [(awsvpc.arn, "STOPPED")]
    assert isinstance(session.ended, Refusal)
    assert session.ended.name == "InactiveInstanceException"


def test_an_awsvpc_task_comes_with_its_interface() -> None:
    world = World()
    world.put(an_awsvpc_task())
    (payload, _manifest) = world.wake(world.sessions.open(INSTANCE, NOW_S))
    assert isinstance(payload, acs.PayloadMessage)
    assert payload.tasks[0].elastic_network_interfaces[0].ec2_id == an_interface().id
