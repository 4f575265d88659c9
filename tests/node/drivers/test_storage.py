"""What a task may write to disk, where that has a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.agent.drivers.storage import can_limit_storage
from moorage.agent.spec import DriverError, Isolation, MountPoint, ScratchVolume

from .host import Host, sandbox_id, wait_for

pytestmark = pytest.mark.skipif(not can_limit_storage(), reason="no mkfs.ext4 or no loop devices")
BOTH = pytest.mark.parametrize("isolation", ["namespaces", "userns"])
POINT = MountPoint(volume="data", target="/data")
SIZE = 64 << 20


@BOTH
def test_all_containers_of_a_task_write_below_one_limit(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation, storage_max_bytes=SIZE, volumes=(ScratchVolume(name="data"),))
    fill = "dd if=/dev/zero of=/data/x bs=1M count=30 2>/dev/null && echo ok; "
    first = host.start(
        number, fill + "dd if=/dev/zero of=/y bs=1M count=20 2>/dev/null && echo ok", 0, mount_points=(POINT,)
    )
    assert host.output(first).split() == ["ok", "ok"]
    second = host.start(number, "dd if=/dev/zero of=/z bs=1M count=30 2>&1 | grep -o 'No space left'; rm -f /z", 1)
    assert host.output(second) == "No space left"
    third = host.start(
        number, "rm /data/x; dd if=/dev/zero of=/z bs=1M count=20 2>/dev/null && echo ok", 2, mount_points=(POINT,)
    )
    assert host.output(third) == "ok"


def test_nothing_is_left_of_a_tasks_storage(host: Host, number: int) -> None:
    sandbox = host.sandbox(number, storage_max_bytes=SIZE)
    host.start(number, "sleep 60")
    host.node.remove_sandbox(sandbox.id)
    assert not (host.config.path / "sandboxes" / sandbox.id).exists()
    wait_for("the loop device to go", lambda: not _backed_by(sandbox.id))


def _backed_by(text: str) -> list[str]:
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found += [file.read_text()] if text in file.read_text() else []
        except OSError:  # gone in this moment
            continue
    return found


def test_storage_outlives_the_agent(host: Host, number: int) -> None:
    volumes = (ScratchVolume(name="data"),)
    host.sandbox(number, storage_max_bytes=SIZE, volumes=volumes)
    host.output(host.start(number, "echo word > /data/x", 0, mount_points=(POINT,)))
    host.reopen()
    host.sandbox(number, storage_max_bytes=SIZE, volumes=volumes)
    assert host.output(host.start(number, "cat /data/x", 1, mount_points=(POINT,))) == "word"


def test_what_the_disk_does_not_have_is_not_promised(host: Host, number: int) -> None:
    with pytest.raises(DriverError, match="that are neither used nor promised"):
        host.sandbox(number, storage_max_bytes=1 << 50)
    assert not (host.config.path / "sandboxes" / sandbox_id(number)).exists()
