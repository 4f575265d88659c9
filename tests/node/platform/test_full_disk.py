"""A disk without room: what cannot be kept is refused and says so, what was acknowledged stays, room heals it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.node.platform.conftest import started
from tests.node.platform.installation import FOREVER, Installation, container_of, short, until
from tests.node.platform.test_bad_tasks import rootfs_tar
from tests.node.platform.traces import container_pids

DISK_MIB = 96


@pytest.fixture
def small(tmp_path: Path, busybox_image: Path) -> Iterator[Installation]:
    """An installation on a disk of its own, which is small."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "small", str(disk)], check=True)
    try:
        installation = started(disk / "home", busybox_image)
        try:
            yield installation
        finally:
            installation.down()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take every last byte; the file that holds them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


def test_a_full_disk_loses_nothing_and_heals(small: Installation, tmp_path: Path) -> None:
    task = small.running(FOREVER)
    pids = container_pids(small.settings, short(task))
    small.ecs.create_cluster(clusterName="before")
    filler = fill(small.home.parent)
    created, refused = write_until_refused(small)
    assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 503, refused
    assert "disk is full" in str(refused)
    with pytest.raises(ClientError, match="nothing was changed: the journal cannot be written"):
        small.ecs.create_cluster(clusterName="refused-at-the-door")
    push = small.moor("image", "import", str(rootfs_tar(tmp_path)), "test/big:1", check=False)
    assert push.returncode == 1
    assert push.stderr.startswith("Error: ")
    assert "Traceback" not in push.stderr
    filler.unlink()

    until(lambda: registers(small), "a write after there is room again")
    small.ecs.create_cluster(clusterName="after")
    names = {arn.rpartition("/")[2] for arn in small.ecs.list_clusters()["clusterArns"]}
    assert {"default", "before", "after", *created} <= names
    assert "refused-at-the-door" not in names
    server = small.pid("server")
    small.kill("server")
    small.until_ready(other_than={"server": server})
    after = {arn.rpartition("/")[2] for arn in small.ecs.list_clusters()["clusterArns"]}
    assert {"default", "before", "after", *created} <= after
    assert container_pids(small.settings, short(task)) == pids
    assert small.output(["echo", "well again"], fargate=True) == ["well again"]
    assert container_of(small.stopped(task))["exitCode"] == 143


def write_until_refused(installation: Installation) -> tuple[list[str], ClientError]:
    """Write until the disk has taken its last; what was acknowledged, and the refusal."""
    created: list[str] = []
    while True:
        name = f"full-{len(created)}"
        try:
            installation.ecs.create_cluster(clusterName=name)
        except ClientError as error:
            return created, error
        created.append(name)
        assert len(created) < 20_000


def test_a_task_that_finds_no_room_says_so_and_leaves_nothing(small: Installation) -> None:
    for path in ("nodes", "images"):
        assert os.stat(small.home / path).st_dev == os.stat(small.home).st_dev
    definition = small.define(["true"])["taskDefinitionArn"]
    filler = fill(small.home.parent)
    # What the answers to these writes are is the disk's: it may have a page left for the journal.
    try:
        tasks = small.ecs.run_task(taskDefinition=definition, launchType="EC2")["tasks"]
    except ClientError:
        tasks = []
    filler.unlink()
    for task in tasks:
        stopped = small.until_status(task["taskArn"], "STOPPED")
        assert stopped["stopCode"] in ("TaskFailedToStart", "EssentialContainerExited")
        assert container_pids(small.settings, short(task)) == {}
    until(lambda: registers(small), "writes again")
    assert small.output(["echo", "again"]) == ["again"]


def registers(installation: Installation) -> bool:
    try:
        installation.define(["true"])
    except ClientError:
        return False
    return True
