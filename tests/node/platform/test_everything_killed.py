"""Power cuts, near enough: every program dies at once, or the one that minds the others."""

from __future__ import annotations

from tests.node.platform.installation import FOREVER, Installation, container_of, short
from tests.node.platform.traces import container_pids, traces

ALL = ("supervisor", "server", "fargate", "instance")


def test_after_all_programs_died_at_once_up_goes_on_with_the_same_containers(own: Installation) -> None:
    tasks = [own.running(FOREVER, fargate=fargate) for fargate in (True, False)]
    before = {short(task): container_pids(own.settings, short(task)) for task in tasks}
    own.kill(*ALL)
    assert own.moor("status", check=False).returncode == 1
    own.up()
    for task in tasks:
        now = own.task(task["taskArn"])
        assert (now["lastStatus"], now["startedAt"]) == ("RUNNING", task["startedAt"])
        assert container_pids(own.settings, short(task)) == before[short(task)]
    for task in tasks:
        assert container_of(own.stopped(task))["exitCode"] == 143
    own.running(FOREVER, fargate=True)
    own.kill(*ALL)
    settings = own.settings
    assert traces(own.home, settings)["processes"]
    own.down()  # which asserts that nothing is left


def test_when_the_supervisor_dies_the_rest_goes_on_and_up_takes_over(own: Installation) -> None:
    task = own.running(FOREVER)
    before = container_pids(own.settings, short(task))
    own.kill("supervisor")
    assert own.task(task["taskArn"])["lastStatus"] == "RUNNING"
    assert own.moor("status", check=False).returncode == 1
    own.up()
    assert own.moor("status").returncode == 0
    assert container_pids(own.settings, short(task)) == before
    assert container_of(own.stopped(task))["exitCode"] == 143
