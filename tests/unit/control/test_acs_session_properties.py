"""Whatever happens in between, an agent that can be reached ends up with exactly what the state wants of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.control.test_acs_session import World
from tests.unit.records import INSTANCE, a_task
from tests.unit.support import NOW_S

from moorage.control.sessions import AcsSession
from moorage.link import acs
from moorage.rules.lifecycle import abandon, request_stop

TASKS = 2


class Agent:
    """An agent as the protocol describes it, with nothing to run: what it believes is wanted of it."""

    def __init__(self) -> None:
        self.wanted: dict[str, str] = {}
        self.latest = -1

    def hear(self, message: acs.ServerMessage) -> acs.AgentMessage | None:
        if isinstance(message, acs.PayloadMessage):
            self.latest = max(self.latest, message.seq_num or 0)
            for task in message.tasks:
                if self.wanted.get(task.arn) != "STOPPED":  # desired moves forward only
                    self.wanted[task.arn] = task.desired_status
            return acs.AckRequest(cluster="c", container_instance="i", message_id=message.message_id)
        if isinstance(message, acs.TaskManifestMessage):
            return self._compare(message)
        if isinstance(message, acs.TaskStopVerificationAck):
            self.wanted.update({one.task_arn: "STOPPED" for one in message.stop_tasks})
            return None
        return acs.HeartbeatAckRequest(message_id=message.message_id)

    def _compare(self, manifest: acs.TaskManifestMessage) -> acs.AgentMessage | None:
        if manifest.timeline <= self.latest:
            return None
        self.latest = manifest.timeline
        running = {one.task_arn for one in manifest.tasks if one.desired_status == "RUNNING"}
        doomed = [arn for arn, wanted in self.wanted.items() if wanted == "RUNNING" and arn not in running]
        return acs.TaskStopVerificationMessage(
            message_id=manifest.message_id,
            stop_candidates=tuple(
                acs.TaskIdentifier(task_arn=arn, task_cluster_arn="c", desired_status="STOPPED") for arn in doomed
            ),
        )


def converse(world: World, session: AcsSession, agent: Agent, now_s: float) -> None:
    """Until neither side has anything more to say."""
    while messages := world.wake(session, now_s):
        for message in messages:
            answer = agent.hear(message)
            if answer is not None:
                session.receive(answer)


def change(world: World, what: str, number: int, placed: set[int]) -> None:
    """One thing that may happen to a task; nothing where it cannot. An id is never used again."""
    task = world.store.view().tasks.get(a_task(number).arn)
    if what == "place":
        if number not in placed:
            placed.add(number)
            world.put(a_task(number))
    elif task is not None and what == "stop":
        world.put(request_stop(task, code="UserInitiated", reason="enough", now_s=NOW_S))
    elif task is not None and what == "lose":
        world.put(abandon(task, code="InfrastructureHealth", reason="lost", now_s=NOW_S))
    elif task is not None and what == "reap" and task.stopped:
        with world.store.update() as tx:
            tx.tasks.delete(task.arn)


steps = st.lists(
    st.tuples(
        st.sampled_from(["place", "stop", "lose", "reap", "talk", "talk", "drop", "reconnect"]), st.integers(1, TASKS)
    ),
    min_size=5,
    max_size=25,
)


def tell(story: list[tuple[str, int]], world: World, agent: Agent) -> tuple[AcsSession, float]:
    """Let it all happen; the session that is open at the end, and the hour."""
    now_s, placed = NOW_S, set[int]()
    session = world.sessions.open(INSTANCE, now_s)
    for what, number in story:
        now_s += 1
        if what == "talk":
            converse(world, session, agent, now_s)
        elif what == "drop":
            world.wake(session, now_s)  # sent, and lost with the connection
            session = world.sessions.open(INSTANCE, now_s)
        elif what == "reconnect":
            session = world.sessions.open(INSTANCE, now_s)
        else:
            change(world, what, number, placed)
    return session, now_s


def wanted(world: World) -> dict[str, str]:
    return {task.arn: task.desired_status for task in world.store.view().tasks.by("instance", INSTANCE)}


@settings(deadline=None, max_examples=150)
@given(steps)
def test_a_connected_agent_knows_what_is_wanted_of_every_live_task(story: list[tuple[str, int]]) -> None:
    world, agent = World(), Agent()
    session, now_s = tell(story, world, agent)
    converse(world, session, agent, now_s)
    assert {arn: agent.wanted.get(arn) for arn in wanted(world)} == wanted(world)


@settings(deadline=None, max_examples=150)
@given(steps)
def test_an_agent_that_reconnects_ends_what_nobody_wants(story: list[tuple[str, int]]) -> None:
    world, agent = World(), Agent()
    _, now_s = tell(story, world, agent)
    converse(world, world.sessions.open(INSTANCE, now_s), agent, now_s)
    live = wanted(world)
    assert {arn: agent.wanted.get(arn) for arn in live} == live
    assert {what for arn, what in agent.wanted.items() if arn not in live} <= {"STOPPED"}
