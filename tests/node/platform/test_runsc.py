"""Fargate tasks under gVisor's kernel instead of a user namespace."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.platform.conftest import started
from tests.node.platform.installation import Installation, address_of, container_of, served

HTTPD = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[Installation]:
    """An installation whose Fargate is runsc."""
    if shutil.which("runsc") is None:
        pytest.skip("runsc is not installed; apt-get install runsc")
    installation = started(tmp_path_factory.mktemp("runsc") / "home", busybox_image, "--fargate-runtime", "runsc")
    try:
        yield installation
    finally:
        installation.down()


def test_a_task_sees_gvisors_kernel_and_not_the_hosts(guarded: Installation) -> None:
    lines = guarded.output(["sh", "-c", "dmesg 2>/dev/null | head -1; cat /proc/version"], fargate=True)
    assert Path("/proc/version").read_text().strip() not in lines
    assert any("gVisor" in line or "Linux version 4.4.0" in line for line in lines), lines
    host = guarded.output(["cat", "/proc/version"])
    assert host == [Path("/proc/version").read_text().strip()]


def test_its_address_is_reachable_and_its_exit_code_right(guarded: Installation) -> None:
    task = guarded.running(HTTPD, fargate=True)
    assert served(address_of(task), 8080)
    guarded.stopped(task)
    assert container_of(guarded.ended(["sh", "-c", "exit 12"], fargate=True))["exitCode"] == 12
