"""Tasks that cannot run say why, where ECS says it, and leave nothing behind."""

from __future__ import annotations

import json
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.node.platform.installation import FOREVER, IMAGE, Installation, container_of, short
from tests.node.platform.traces import container_pids

BOTH = pytest.mark.parametrize("how", [{"fargate": True}, {}], ids=["fargate", "instance"])


def failed(installation: Installation, command: list[str], **how: Any) -> str:
    """The reason for which a task did not start."""
    task = installation.ended(command, **how)
    assert task["stopCode"] == "TaskFailedToStart", task
    assert "exitCode" not in container_of(task)
    reason: str = task["stoppedReason"]
    assert container_of(task)["reason"] in reason or reason in container_of(task)["reason"]
    assert container_pids(installation.settings, short(task)) == {}
    return reason


@BOTH
def test_an_image_that_does_not_exist(shared: Installation, how: dict[str, bool]) -> None:
    reason = failed(shared, ["true"], container={"image": "test/no-such-image:1"}, **how)
    assert reason.startswith("CannotPullContainerError: ")
    assert "no-such-image" in reason


def test_a_tag_that_does_not_exist(shared: Installation) -> None:
    assert failed(shared, ["true"], container={"image": "test/busybox:9"}).startswith("CannotPullContainerError: ")


def test_a_registry_that_cannot_be_reached(shared: Installation) -> None:
    reason = failed(shared, ["true"], container={"image": "127.0.0.1:9/some/image:1"})
    assert reason.startswith("CannotPullContainerError: ")


@BOTH
def test_a_command_that_is_not_in_the_image(shared: Installation, how: dict[str, bool]) -> None:
    reason = failed(shared, ["no-such-command"], **how)
    assert reason.startswith(("CannotStartContainerError: ", "CannotCreateContainerError: "))
    assert "no-such-command" in reason


def test_a_command_that_may_not_be_executed(shared: Installation) -> None:
    assert "Permission denied" in failed(shared, ["/etc/passwd"])


def test_a_user_that_the_image_does_not_know(shared: Installation) -> None:
    assert "somebody" in failed(shared, ["true"], container={"user": "somebody"})


def test_an_image_whose_layer_is_damaged_is_refused_and_told(own: Installation, tmp_path: Path) -> None:
    own.moor("image", "import", str(rootfs_tar(tmp_path)), "test/damaged:1")
    digest = json.loads(own.moor("image", "ls", "--json").stdout)
    assert any(one["name"] == "test/damaged:1" for one in digest)
    layer = max(
        (path for path in (own.home / "registry").rglob("*") if path.is_file() and path.stat().st_size > 4000),
        key=lambda path: path.stat().st_mtime,
    )
    content = bytearray(layer.read_bytes())
    content[len(content) // 2] ^= 0xFF
    layer.chmod(0o600)
    layer.write_bytes(content)
    reason = failed(own, ["true"], container={"image": "test/damaged:1"})
    assert reason.startswith("CannotPullContainerError: ")
    assert own.output(["echo", "others run"]) == ["others run"]


def rootfs_tar(folder: Path) -> Path:
    (folder / "noise").write_bytes(random.Random(1).randbytes(20_000))
    with tarfile.open(folder / "rootfs.tar", "w") as tar:
        tar.add(folder / "noise", "noise")
    return folder / "rootfs.tar"


def test_a_task_larger_than_the_instance_finds_no_place_and_is_told_what_lacks(shared: Installation) -> None:
    for container, reason in (({"memory": 4_000_000}, "RESOURCE:MEMORY"), ({"cpu": 100_000}, "RESOURCE:CPU")):
        definition = shared.define(FOREVER, container=container)
        answer = shared.ecs.run_task(taskDefinition=definition["taskDefinitionArn"], launchType="EC2")
        assert answer["tasks"] == []
        (failure,) = answer["failures"]
        assert failure["reason"] == reason
        assert ":container-instance/" in failure["arn"]


def test_more_fargate_than_the_machine_has_is_refused_and_what_fits_still_runs(shared: Installation) -> None:
    definition = shared.define(FOREVER, fargate=True, task={"cpu": "16384", "memory": "122880"})
    answer = shared.ecs.run_task(
        taskDefinition=definition["taskDefinitionArn"], launchType="FARGATE", networkConfiguration=shared.network()
    )
    assert answer["tasks"] == []
    assert "Capacity is unavailable" in answer["failures"][0]["reason"]
    assert shared.output(["echo", "fits"], fargate=True) == ["fits"]


def test_one_container_that_cannot_start_ends_the_others(shared: Installation) -> None:
    broken = {"name": "broken", "image": IMAGE, "command": ["no-such-command"], "memory": 32}
    task = shared.ended(FOREVER, others=[broken])
    assert task["stopCode"] == "TaskFailedToStart"
    assert "no-such-command" in task["stoppedReason"]
    assert container_pids(shared.settings, short(task)) == {}
