"""Acknowledgements, manifests, refusals, and reports that have to be sent again."""

from __future__ import annotations

import pytest

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent.machine import REPORT_AGAIN_MAX_S, REPORT_AGAIN_MIN_S, backoff_s

from .world import CLUSTER, World, plan, stop_order


def test_a_payload_with_a_refused_task_is_not_acknowledged_and_the_refusal_is_told() -> None:
    world = World()
    bad = plan(2)
    refusal = on.Refusal(arn=bad.arn, id=bad.id, cluster=CLUSTER, containers=("c0",), reason="Unrec")
    event = on.PayloadReceived(message_id="m", seq_num=1, run=(plan(1),), refused=(refusal,))
    world.feed(event)
    assert world.acks == []
    assert (world.reports[0].task, world.reports[0].status, world.reports[0].reason) == (bad.id, "STOPPED", "Unrec")
    world.answer_all()
    world.feed(event)  # the control plane had not heard it
    assert [report.task for report in world.reports].count(bad.id) == 2


def test_stops_are_applied_before_starts() -> None:
    world = World()
    old, new = plan(1, cpu=2048), plan(2, cpu=2048)
    world.run(old)
    world.feed(on.PayloadReceived(message_id="m-2", seq_num=2, run=(new,), stop=(stop_order(old.id),)))
    world.answer_all()
    assert world.machine.tasks[new.id].phase == "running"


def test_a_manifest_older_than_a_payload_is_dropped_without_acknowledgement() -> None:
    world = World()
    world.run(plan(), seq_num=7)
    assert world.feed(on.ManifestReceived(message_id="f", timeline=7, running=())) == []


def test_a_manifest_asks_about_the_tasks_that_it_does_not_list() -> None:
    world = World()
    kept, stray = plan(1), plan(2)
    world.run(kept, stray)
    world.answer_all()
    commands = world.feed(on.ManifestReceived(message_id="f", timeline=8, running=(kept.id,)))
    assert commands == [
        do.Ack(message_id="f"),
        do.VerifyStops(message_id="f", tasks=((stray.arn, stray.cluster),)),
    ]
    world.feed(on.StopsVerified(tasks=(stray.id,)))
    world.answer_all()
    assert set(world.machine.tasks) == {kept.id}


def test_a_failed_report_is_sent_again_after_a_while() -> None:
    world = World()
    world.run(plan())
    world.answer_all(fails="submit")
    assert world.accepted == []
    world.fire("report")
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING"]


def test_a_new_session_sends_what_failed_at_once() -> None:
    world = World()
    world.run(plan())
    world.answer_all(fails="submit")
    world.feed(on.SessionOpened())
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING"]


def test_reports_of_a_task_go_out_one_at_a_time_and_in_order() -> None:
    world = World()
    task = plan()
    world.run(task)
    while not any(name == "submit" for name, _ in world.pending):
        world.answer()
    world.exit(task.containers[0].spec.id)
    while [name for name, _ in world.pending] != ["submit"]:
        world.answer(1)
    assert [report.status for report in world.reports] == ["RUNNING"]
    world.answer_all()
    assert [report.status for report in world.accepted] == ["RUNNING", "STOPPED"]


@pytest.mark.parametrize(("attempt", "expected"), [(0, 0.03), (1, 0.06), (5, 0.96), (1000, 30.0)])
def test_the_wait_doubles_up_to_its_bound(attempt: int, expected: float) -> None:
    assert backoff_s(attempt, REPORT_AGAIN_MIN_S, REPORT_AGAIN_MAX_S) == pytest.approx(expected)


def test_a_stop_of_a_task_that_never_came_is_answered_with_its_end() -> None:
    world = World()
    never = plan(9)
    world.stop(never.id)
    assert [(report.arn, report.status) for report in world.reports] == [(never.arn, "STOPPED")]
    assert world.acks == [], "unacknowledged, it is sent again until the answer was heard"
    world.run(never, message="m-late", seq_num=3)
    assert world.containers == {}, "a start that comes late begins nothing"
