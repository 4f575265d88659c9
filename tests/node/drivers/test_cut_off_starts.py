"""An agent is killed around the instant at which a container is let run: the container runs once, never twice."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.drivers.processes import ProcessRef
from moorage.agent.spec import Isolation, Mount, RootImage

from .host import Host, container_id, make_image, sandbox_id, traces, wait_for

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

# The agent kills itself on its way: `before` when it is about to let the container run, `after` at the first look
# into the records that follows.
_AGENT = """
import os, signal, sys
from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.spec import *
import msgspec
config = msgspec.json.decode(sys.argv[1].encode(), type=NodeConfig)
sandbox = msgspec.json.decode(sys.argv[2].encode(), type=SandboxSpec)
container = msgspec.json.decode(sys.argv[3].encode(), type=ContainerSpec)
image = msgspec.json.decode(sys.argv[4].encode(), type=RootImage)
node = Node.open(config)
node.create_sandbox(sandbox)
letting_run = False
def watch(event, arguments):
    global letting_run
    if event == "open" and str(arguments[0]).endswith("exec.fifo"):
        letting_run = True
    elif event == "os.posix_spawn" and "start" in arguments[1]:
        letting_run = True
    elif not (letting_run and event == "open" and "launched.json" in str(arguments[0])):
        return
    elif sys.argv[5] == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    if letting_run and sys.argv[5] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
node.start_container(container, image)
"""

NodeRuntime = Literal["crun", "runc"]
RUNTIMES: tuple[tuple[NodeRuntime, Isolation], ...] = (
    ("crun", "namespaces"),
    ("runc", "namespaces"),
    ("crun", "runsc"),
)
"""The node's runtime, and the isolation of the sandbox: `runsc` is a runtime of its own."""


@pytest.fixture
def image(tmp_path: Path) -> RootImage:
    return make_image(tmp_path / "layer")


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """The nodes that a test has open; at the end nothing of them is left."""
    opened: list[Node] = []
    yield opened
    for node in opened:
        config = node.config
        node.close()
        assert not {kind: things for kind, things in traces(config).items() if things}


def _config(tmp_path: Path, runtime: NodeRuntime, isolation: Isolation) -> NodeConfig:
    return NodeConfig(
        installation=secrets.token_hex(4),
        agent="cut",
        directory=str(tmp_path / "node"),
        vpc_cidr="10.213.0.0/16",
        private_cidr="10.216.0.0/16",
        runtime=runtime,
        isolations=(isolation,),
    )


def _killed(config: NodeConfig, image: RootImage, isolation: Isolation, at: Literal["before", "after"]) -> Path:
    """An agent starts a container and is killed at it; the file in which the container notes each of its runs."""
    runs = Path(config.directory).parent / "runs"
    runs.mkdir()
    (runs / "noted").touch(mode=0o666)
    sandbox = {"id": sandbox_id(1), "network_mode": "none", "isolation": isolation}
    container = _container(runs)
    documents = [msgspec.json.encode(each).decode() for each in (config, sandbox, container, image)]
    arguments = [sys.executable, "-c", _AGENT, *documents, at]
    agent = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert agent.returncode == -9, agent.stderr
    return runs / "noted"


def _container(runs: Path) -> dict[str, object]:
    return {
        "id": container_id(1),
        "sandbox": sandbox_id(1),
        "name": "c0",
        "image": "busybox",
        "command": ("sh", "-c", "echo ran >>/runs/noted; exec sleep 100"),
        "mounts": (Mount(source=str(runs), target="/runs"),),
    }


def _start_again(host: Host, noted: Path) -> None:
    """As the next agent does with a container that the node calls created."""
    mounts = (Mount(source=str(noted.parent), target="/runs"),)
    host.start(1, "echo ran >>/runs/noted; exec sleep 100", mounts=mounts)


@pytest.mark.parametrize(("runtime", "isolation"), RUNTIMES)
def test_a_container_that_was_not_let_run_is_started_by_the_next_agent(
    tmp_path: Path, image: RootImage, nodes: list[Node], runtime: NodeRuntime, isolation: Isolation
) -> None:
    config = _config(tmp_path, runtime, isolation)
    noted = _killed(config, image, isolation, "before")
    host = Host(config, image)
    nodes.append(host.node)
    assert [status.state for status in host.node.list_containers()] == ["created"]
    assert noted.read_text() == ""
    _start_again(host, noted)
    wait_for("the container's note", lambda: noted.read_text() == "ran\n")


@pytest.mark.parametrize(("runtime", "isolation"), RUNTIMES)
def test_a_container_that_was_let_run_is_adopted_and_not_run_again(
    tmp_path: Path, image: RootImage, nodes: list[Node], runtime: NodeRuntime, isolation: Isolation
) -> None:
    config = _config(tmp_path, runtime, isolation)
    noted = _killed(config, image, isolation, "after")
    host = Host(config, image)
    nodes.append(host.node)
    assert [status.state for status in host.node.list_containers()] == ["running"]
    _start_again(host, noted)
    wait_for("the container's note", lambda: noted.read_text() != "")
    assert noted.read_text() == "ran\n"


def test_a_container_whose_word_to_run_was_lost_is_started_by_the_next_agent(
    tmp_path: Path, image: RootImage, nodes: list[Node]
) -> None:
    """Killed between the two steps of letting it run: its pipe has lost its name, and nothing was written to it."""
    config = _config(tmp_path, "crun", "namespaces")
    noted = _killed(config, image, "namespaces", "before")
    holder = msgspec.json.decode((config.path / "launch.json").read_bytes(), type=ProcessRef)
    stage = Path(config.claims_directory) / "stage"
    Path(f"/proc/{holder.pid}/root{stage}/runtime/crun/{container_id(1)}/exec.fifo").unlink()
    host = Host(config, image)
    nodes.append(host.node)
    assert [status.state for status in host.node.list_containers()] == ["created"]
    _start_again(host, noted)
    wait_for("the container's note", lambda: noted.read_text() == "ran\n")
