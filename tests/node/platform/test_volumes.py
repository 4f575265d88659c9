"""Volumes of a task definition, from its registration to what a container reads and writes."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.node.platform.installation import IMAGE, LOG_GROUP, Installation, until

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])
FILE_SYSTEM = {"fileSystemId": "fs-0123abcd"}


def at(path: str, volume: str = "v", **more: object) -> dict[str, Any]:
    """The members of a container that has the volume there."""
    return {"mountPoints": [{"sourceVolume": volume, "containerPath": path} | more]}


def volumes(**kinds: object) -> dict[str, Any]:
    """The member of a task: one volume, `v`."""
    return {"volumes": [{"name": "v"} | kinds]}


@BOTH
def test_containers_of_a_task_share_a_volume(shared: Installation, how: dict[str, bool]) -> None:
    side = {"name": "side", "image": IMAGE, "memory": 32, "essential": False} | at("/other")
    side["command"] = ["sh", "-c", "echo word > /other/note"]
    wait = [
        "sh",
        "-c",
        "until [ -s /data/note ]; do sleep 0.1; done; cat /data/note; touch /data/x 2>/dev/null || echo not",
    ]
    lines = shared.output(wait, container=at("/data", readOnly=True), task=volumes(), others=[side], **how)
    assert (lines[0], lines[-1]) == ("word", "not")


def test_a_directory_of_the_host_is_read_and_written(shared: Installation, tmp_path: Path) -> None:
    task = volumes(host={"sourcePath": str(tmp_path / "made")})
    shared.ended(["sh", "-c", "echo word > /data/note"], container=at("/data"), task=task)
    assert (tmp_path / "made/note").read_text() == "word\n"


def test_a_shared_volume_outlives_its_task(shared: Installation) -> None:
    name = f"kept-{secrets.token_hex(4)}"
    kind = {"scope": "shared", "autoprovision": True, "driver": "local"}
    task = {"volumes": [{"name": name, "dockerVolumeConfiguration": kind}]}
    shared.ended(["sh", "-c", "echo word > /data/note"], container=at("/data", name), task=task)
    assert shared.output(["cat", "/data/note"], container=at("/data", name), task=task) == ["word"]


def test_a_shared_volume_that_does_not_exist_stops_the_task_with_the_reason(shared: Installation) -> None:
    task = volumes(dockerVolumeConfiguration={"scope": "shared"})
    stopped = shared.ended(["true"], container=at("/data"), task=task)
    assert "the shared volume v does not exist, and autoprovision is off" in stopped["stoppedReason"]
    assert stopped["stopCode"] == "TaskFailedToStart"


def test_driver_options_make_a_volume_of_memory(shared: Installation) -> None:
    kind = {"scope": "task", "driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}}
    lines = shared.output(
        ["grep", " /data ", "/proc/mounts"], container=at("/data"), task=volumes(dockerVolumeConfiguration=kind)
    )
    assert "size=2048k" in lines[0]


@BOTH
def test_a_file_system_is_the_directory_that_was_configured(
    shared: Installation, how: dict[str, bool], file_system: Path
) -> None:
    (file_system / "sub").mkdir(exist_ok=True)
    (file_system / "sub/greeting").write_text("hello\n")
    kind = FILE_SYSTEM | {"rootDirectory": "/sub", "transitEncryption": "ENABLED"}
    script = ["sh", "-c", "cat /data/greeting; stat -c %u /data/greeting; echo back > /data/answer"]
    assert shared.output(script, container=at("/data"), task=volumes(efsVolumeConfiguration=kind), **how) == [
        "hello",
        "0",
    ]
    answer = file_system / "sub/answer"
    assert (answer.read_text(), answer.stat().st_uid) == ("back\n", 0)
    answer.unlink()


@BOTH
def test_a_file_system_that_no_host_has_is_told_at_placement(shared: Installation, how: dict[str, bool]) -> None:
    task = volumes(efsVolumeConfiguration={"fileSystemId": "fs-99999999"})
    definition = shared.define(["true"], container=at("/data"), task=task, **how)
    request: dict[str, Any] = {"taskDefinition": definition["taskDefinitionArn"]}
    if how:
        request |= {"launchType": "FARGATE", "networkConfiguration": shared.network()}
    (failure,) = shared.ecs.run_task(**request)["failures"]
    assert "required attribute" in failure["detail"]


@BOTH
def test_a_container_has_the_volumes_of_another(shared: Installation, how: dict[str, bool]) -> None:
    lender = {"name": "lender", "image": IMAGE, "memory": 32, "essential": False} | at("/data")
    lender["command"] = ["sh", "-c", "echo word > /data/note"]
    wait = [
        "sh",
        "-c",
        "until [ -s /data/note ]; do sleep 0.1; done; cat /data/note; touch /data/x 2>/dev/null || echo not",
    ]
    container = {"volumesFrom": [{"sourceContainer": "lender", "readOnly": True}]}
    lines = shared.output(wait, container=container, task=volumes(), others=[lender], **how)
    assert (lines[0], lines[-1]) == ("word", "not")


@BOTH
def test_a_scratch_volume_goes_with_its_task(shared: Installation, how: dict[str, bool]) -> None:
    task = shared.ended(
        ["sh", "-c", f"echo x > /data/mark-{LOG_GROUP[1:5]}"], container=at("/data"), task=volumes(), **how
    )
    id_ = task["taskArn"].rpartition("/")[2]
    until(lambda: not list(shared.home.glob(f"nodes/*/node/sandboxes/{id_}")), "nothing of the task is left")


def test_describing_a_definition_tells_its_volumes(shared: Installation) -> None:
    definition = shared.define(["true"], container=at("/data"), task=volumes(host={"sourcePath": "/srv"}))
    assert definition["volumes"] == [{"name": "v", "host": {"sourcePath": "/srv"}}]
    assert definition["containerDefinitions"][0]["mountPoints"] == [{"sourceVolume": "v", "containerPath": "/data"}]


def test_ephemeral_storage_is_as_large_as_asked_for(shared: Installation) -> None:
    task = volumes() | {"ephemeralStorage": {"sizeInGiB": 25}}
    script = ["sh", "-c", "df -m /data | tail -1 | awk '{print $2}'; echo x > /y && echo ok"]
    stopped = shared.ended(script, fargate=True, container=at("/data"), task=task, logs=LOG_GROUP)
    assert stopped["ephemeralStorage"] == {"sizeInGiB": 25}
    size, ok = shared.log_lines(LOG_GROUP, stopped)
    assert 24 << 10 <= int(size) <= 25 << 10
    assert ok == "ok"
