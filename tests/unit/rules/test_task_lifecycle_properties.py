"""Whatever is reported, in whatever order, as often as it likes: nothing goes backwards and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from moorage.model.task import TASK_ORDER, Task
from moorage.rules.lifecycle import ContainerReport, TaskReport, abandon, apply_report, request_stop, set_connected
from tests.unit.records import a_container, a_task

STATUS = st.sampled_from([None, "PENDING", "RUNNING", "STOPPED"])
REASON = st.sampled_from([None, "", "CannotPullContainerError: x", "OutOfMemoryError: y"])
Step = Callable[[Task, float], Task]

container_reports = st.builds(
    ContainerReport,
    name=st.sampled_from(["app", "side", "stranger"]),
    status=STATUS,
    exit_code=st.sampled_from([None, 0, 1, 137]),
    reason=REASON,
    runtime_id=st.sampled_from([None, "r1", "r2"]),
)
reports = st.builds(
    TaskReport, status=STATUS, reason=REASON, containers=st.lists(container_reports, max_size=4).map(tuple)
)


def _reporting(report: TaskReport) -> Step:
    return lambda task, now_s: apply_report(task, report, now_s)


steps = st.one_of(
    reports.map(_reporting),
    st.just(lambda task, now_s: request_stop(task, code="UserInitiated", reason="user", now_s=now_s)),
    st.just(lambda task, now_s: abandon(task, code="InfrastructureHealth", reason="host", now_s=now_s)),
    st.booleans().map(lambda up: lambda task, now_s: set_connected(task, up, now_s)),
)


def _fresh() -> Task:
    return a_task(containers=[a_container(), a_container("side", essential=False)])


@given(st.lists(steps, max_size=12))
def test_no_story_takes_a_task_backwards(story: list[Step]) -> None:
    task = _fresh()
    for now_s, step in enumerate(story):
        after = step(task, float(now_s))
        assert TASK_ORDER.index(after.last_status) >= TASK_ORDER.index(task.last_status)
        assert after.version == task.version + (after is not task)
        if task.stopped:
            assert after is task
        if task.stop_code:
            assert (after.stop_code, after.stopped_reason) == (task.stop_code, task.stopped_reason)
        task = after
    if task.stopped:
        assert task.desired_status == "STOPPED"
        assert task.stop_code is not None
        assert task.stopped_reason
        assert {part.last_status for part in task.containers} == {"STOPPED"}


@given(st.lists(steps, max_size=6), reports)
def test_a_report_that_comes_twice_counts_once(story: list[Step], report: TaskReport) -> None:
    task = _fresh()
    for now_s, step in enumerate(story):
        task = step(task, float(now_s))
    once = apply_report(task, report, 50.0)
    assert apply_report(once, report, 60.0) is once


@given(st.lists(reports, max_size=8))
def test_every_task_can_still_end(story: list[TaskReport]) -> None:
    task = _fresh()
    for now_s, report in enumerate(story):
        task = apply_report(task, report, float(now_s))
    assert apply_report(task, TaskReport(status="STOPPED"), 99.0).stopped
