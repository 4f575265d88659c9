"""A session that looks at changes alone misses none, whatever it was told of and whatever it was not."""

from __future__ import annotations

from tests.unit.control.test_acs_session import World, told
from tests.unit.records import INSTANCE, a_task
from tests.unit.support import NOW_S

from moorage.control.sessions import PAYLOAD_ACK_S
from moorage.rules.lifecycle import request_stop


def test_changes_during_several_missed_wakings_are_all_told_at_the_next() -> None:
    world = World()
    world.put(a_task(1), a_task(2))
    session = world.settled()
    world.put(a_task(3))
    world.put(request_stop(a_task(1), code="UserInitiated", reason="enough", now_s=NOW_S))
    world.put(a_task(4))
    assert sorted(told(world.wake(session))) == [
        (a_task(1).arn, "STOPPED"),
        (a_task(3).arn, "RUNNING"),
        (a_task(4).arn, "RUNNING"),
    ]


def test_a_change_that_was_undone_is_not_told() -> None:
    world = World()
    world.put(a_task())
    session = world.settled()
    try:
        with world.store.update() as tx:
            tx.tasks.put(request_stop(a_task(), code="UserInitiated", reason="enough", now_s=NOW_S))
            raise LookupError
    except LookupError:
        assert world.wake(session) == []


def test_a_payload_that_was_lost_is_told_again_though_nothing_changed_since() -> None:
    world = World()
    world.put(a_task())
    session = world.sessions.open(INSTANCE, NOW_S)
    world.wake(session)
    world.wake(session, NOW_S + 1)
    assert told(world.wake(session, NOW_S + PAYLOAD_ACK_S)) == [(a_task().arn, "RUNNING")]
    assert told(world.wake(session, NOW_S + PAYLOAD_ACK_S + 1)) == []
