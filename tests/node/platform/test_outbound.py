"""Tasks reach what lies beyond the machine, under the machine's own address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.node.platform.installation import Installation, until

# Addresses kept free for documentation: nothing on a real network has them.
HERE, BEYOND = "198.51.100.1", "198.51.100.2"
# It knows no way back to any task: only who comes from HERE gets an answer, which is the caller's address.
SERVER = """
import os
import socket
with socket.create_server(("0.0.0.0", 7777)) as server:
    while True:
        connection, (address, _) = server.accept()
        with connection:
            connection.sendall(address.encode() + b"\\n")
"""


@pytest.fixture(scope="module")
def beyond() -> Iterator[str]:
    """A neighbour of this machine, in a network namespace, that tells its callers their address."""
    name = f"beyond-{os.getpid()}"
    steps = [
        f"ip netns add {name}",
        f"ip link add beyond0 type veth peer name beyond1 netns {name}",
        f"ip addr add {HERE}/30 dev beyond0",
        "ip link set beyond0 up",
        f"ip -n {name} addr add {BEYOND}/30 dev beyond1",
        f"ip -n {name} link set beyond1 up",
    ]
    try:
        for step in steps:
            subprocess.run(step.split(), check=True, capture_output=True)
        words = ["ip", "netns", "exec", name, sys.executable, "-c", SERVER]
        with subprocess.Popen(words) as server:
            until(lambda: told(BEYOND) == HERE, "the neighbour answers")
            yield BEYOND
            server.kill()
    finally:
        subprocess.run(["ip", "link", "delete", "beyond0"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def told(address: str) -> str | None:
    try:
        with socket.create_connection((address, 7777), timeout=1) as connection:
            return connection.recv(100).decode().strip()
    except OSError:
        return None


@pytest.mark.parametrize(
    "how",
    [{"fargate": True}, {"network": "awsvpc"}, {"network": "bridge"}, {"network": "host"}],
    ids=["fargate", "awsvpc", "bridge", "host"],
)
def test_a_task_reaches_beyond_the_machine(shared: Installation, beyond: str, how: dict[str, object]) -> None:
    assert shared.output(["nc", "-w", "3", beyond, "7777"], **how) == [HERE]


def test_a_task_without_a_network_does_not(shared: Installation, beyond: str) -> None:
    lines = shared.output(["sh", "-c", f"nc -w 1 {beyond} 7777 2>/dev/null || echo none"], network="none")
    assert lines == ["none"]
