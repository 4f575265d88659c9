"""The metrics buffer keeps the last rounds of living tasks, and no more."""

from __future__ import annotations

from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.model.metrics import ContainerSample, InstanceStatus, StatisticSet, TaskSample
from moorage.store import metrics
from moorage.store.metrics import MetricsBuffer

A, B = TaskArn("arn:a"), TaskArn("arn:b")
INSTANCE = ContainerInstanceArn("arn:i")


def sample(task: TaskArn, at_s: float) -> TaskSample:
    cpu = StatisticSet(0.5, 1.5, 2.0, 2)
    return TaskSample(task=task, at_s=at_s, containers=(ContainerSample(name="app", sets={"CpuUtilized": cpu}),))


def test_the_latest_round_and_the_ones_before_it_are_kept() -> None:
    buffer = MetricsBuffer()
    for round_ in range(metrics.ROUNDS_KEPT + 3):
        buffer.put([sample(A, 20.0 * round_)], 20.0 * round_)
    assert buffer.latest(A) == sample(A, 20.0 * (metrics.ROUNDS_KEPT + 2))
    history = buffer.history(A)
    assert [one.at_s for one in history] == [20.0 * (round_ + 3) for round_ in range(metrics.ROUNDS_KEPT)]


def test_a_task_that_nobody_names_any_more_is_forgotten() -> None:
    buffer = MetricsBuffer()
    buffer.put([sample(A, 0.0)], 0.0)
    buffer.put([sample(B, metrics.KEPT_S)], metrics.KEPT_S)
    assert buffer.latest(A) is not None
    buffer.put([sample(B, metrics.KEPT_S + 1)], metrics.KEPT_S + 1)
    assert (buffer.latest(A), buffer.history(A)) == (None, [])
    assert buffer.latest(B) is not None


def test_there_are_never_more_tasks_than_the_bound() -> None:
    buffer = MetricsBuffer()
    tasks = [TaskArn(f"arn:{number}") for number in range(metrics.TASKS_MAX + 1)]
    buffer.put([sample(task, 0.0) for task in tasks], 0.0)
    assert buffer.latest(tasks[0]) is None
    assert buffer.latest(tasks[1]) is not None


def test_the_last_word_on_each_part_of_an_instance_counts() -> None:
    buffer = MetricsBuffer()
    ok = InstanceStatus(kind="ContainerRuntime", status="OK")
    bad = InstanceStatus(kind="ContainerRuntime", status="IMPAIRED", reason="gone")
    agent = InstanceStatus(kind="Agent", status="OK")
    buffer.put_status(INSTANCE, [ok, agent])
    buffer.put_status(INSTANCE, [bad])
    assert buffer.statuses(INSTANCE) == [agent, bad]
