"""How healthy a task is, and what a report of health changes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.model.task import Container, HealthStatus
from moorage.rules.health import task_health, with_health
from tests.unit.records import a_container, a_task


def parts(*essential: HealthStatus, beside: HealthStatus = "UNHEALTHY") -> list[Container]:
    found = [replace(a_container(f"c{n}"), health_status=status) for n, status in enumerate(essential)]
    return [*found, replace(a_container("beside", essential=False), health_status=beside)]


@pytest.mark.parametrize(
    ("essential", "task"),
    [
        (["HEALTHY"], "HEALTHY"),
        (["HEALTHY", "HEALTHY"], "HEALTHY"),
        (["HEALTHY", "UNKNOWN"], "UNKNOWN"),
        (["UNKNOWN", "UNHEALTHY"], "UNHEALTHY"),
        (["UNKNOWN"], "UNKNOWN"),
    ],
)
def test_the_worst_of_the_essential_containers_is_the_tasks_health(
    essential: list[HealthStatus], task: HealthStatus
) -> None:
    assert task_health(parts(*essential)) == task


def test_news_make_a_new_version_and_no_news_none() -> None:
    task = a_task()
    after = with_health(task, {"app": "HEALTHY"})
    assert (after.containers[0].health_status, after.version) == ("HEALTHY", task.version + 1)
    assert with_health(after, {"app": "HEALTHY"}) is after
    assert with_health(task, {"~internal~ecs~pause": "HEALTHY"}) is task


def test_what_has_stopped_keeps_its_last_health() -> None:
    stopped = replace(a_container(), last_status="STOPPED", health_status="HEALTHY")
    running = a_task(containers=[stopped])
    assert with_health(running, {"app": "UNHEALTHY"}) is running
    over = replace(a_task(), last_status="STOPPED")
    assert with_health(over, {"app": "HEALTHY"}) is over
