"""`moor up` in a terminal: what its signals do, and that a restart finds everything again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.platform.installation import BIN, FOREVER, IMAGE, Installation, container_of, free_port, short, until
from tests.node.platform.traces import container_pids, traces


@contextmanager
def foreground(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    """`moor up` in the foreground, ready."""
    words = [str(BIN / "moor"), "up"]
    with subprocess.Popen(words, env=installation.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("Ctrl-C" in line for line in process.stdout), "it ended before it was ready"
        yield process
        process.wait(30)


def test_sigterm_ends_the_programs_and_leaves_the_containers_which_the_next_up_adopts(own: Installation) -> None:
    own.moor("down")
    with foreground(own) as process:
        task = own.running(FOREVER, fargate=True)
        pids = container_pids(own.settings, short(task))
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert container_pids(own.settings, short(task)) == pids
    assert not list((own.home / "run").glob("*.pid"))
    own.up()
    assert own.task(task["taskArn"])["lastStatus"] == "RUNNING"
    assert container_of(own.stopped(task))["exitCode"] == 143


def test_ctrl_c_takes_everything_down_but_the_data(own: Installation) -> None:
    own.moor("down")
    settings = own.settings
    with foreground(own) as process:
        own.running(FOREVER)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert traces(own.home, settings) == {}
    assert own.settings == settings


def test_a_foreground_up_tells_when_its_supervisor_is_killed(own: Installation) -> None:
    own.moor("down")
    with foreground(own) as process:
        os.kill(own.pid("supervisor"), signal.SIGKILL)
        until(lambda: process.poll() is not None, "moor up ends")
    assert process.returncode == 1


def test_down_and_up_keep_all_that_is_data_and_end_all_that_ran(own: Installation) -> None:
    ecs, logs = own.ecs, own.client("logs")
    own.output(["echo", "kept"])
    group = logs.describe_log_groups()["logGroups"]
    arn = ecs.create_cluster(clusterName="kept", tags=[{"key": "a", "value": "b"}])["cluster"]["clusterArn"]
    running = [own.running(FOREVER, fargate=fargate) for fargate in (True, False)]
    definitions = ecs.list_task_definitions()["taskDefinitionArns"]
    subnets = own.client("ec2").describe_subnets()["Subnets"]
    key = own.key()
    own.moor("down")
    own.up()
    assert own.key() == key
    assert logs.describe_log_groups()["logGroups"] == group
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "b"}]
    assert ecs.list_task_definitions()["taskDefinitionArns"] == definitions
    assert [one["SubnetId"] for one in own.client("ec2").describe_subnets()["Subnets"]] == [
        one["SubnetId"] for one in subnets
    ]
    assert IMAGE in own.moor("image", "ls").stdout
    for task in running:
        stopped = own.until_status(task["taskArn"], "STOPPED")
        assert stopped.get("stoppedReason")
    assert own.output(["echo", "again"], fargate=True) == ["again"]
    assert own.output(["echo", "again"]) == ["again"]


def test_two_ups_at_once_are_one_installation(tmp_path: Path) -> None:
    both = Installation(tmp_path / "home")
    words = [str(BIN / "moor"), "up", "--detach", "--listen", f"127.0.0.1:{free_port()}"]
    starting = [subprocess.Popen(words, env=both.environment, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        assert [process.wait(60) for process in starting] == [0, 0]
        assert both.moor("status").returncode == 0
    finally:
        for process in starting:
            assert process.stdout is not None
            process.stdout.close()
        both.down()


def test_two_installations_started_at_once_do_not_take_each_others_addresses(tmp_path: Path) -> None:
    sides = [Installation(tmp_path / name) for name in ("one", "two")]
    words = [str(BIN / "moor"), "up", "--detach", "--listen"]
    starting = [
        subprocess.Popen([*words, f"127.0.0.1:{free_port()}"], env=side.environment, stdout=subprocess.DEVNULL)
        for side in sides
    ]
    try:
        assert [process.wait(60) for process in starting] == [0, 0]
        assert sides[0].settings["vpc_cidr"] != sides[1].settings["vpc_cidr"]
    finally:
        for side in sides:
            side.down()
