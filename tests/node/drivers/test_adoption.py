"""Agents come and go, also by SIGKILL; containers stay, and nothing leaks."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.drivers.processes import ProcessRef, wait_gone
from moorage.agent.drivers.records import Launched
from moorage.agent.spec import DriverError, PortBinding, RootImage

from .host import DEADLINE_S, Host, sandbox_id, traces, wait_for


def test_a_running_container_is_adopted(host: Host, number: int) -> None:
    host.sandbox(number)
    before = host.started(number, ("sleep", "60"))
    host.reopen()
    assert before in host.node.list_containers()
    assert sandbox_id(number) in {each.id for each in host.node.list_sandboxes()}
    second = host.start(number, "ip addr show eth0; exit 5", 1)
    assert host.wait_exit(second).code == 5


def test_an_end_that_nobody_watched_is_known_afterwards(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 0.2; echo late; exit 8")
    pid = host.node.status(container).pid
    host.node.detach()
    wait_for("the container's end", lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))
    host.node = Node.open(host.config)
    assert host.wait_exit(container).code == 8
    assert host.log(container) == "late"


def _is_zombie(pid: int | None) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def test_a_container_whose_supervisor_was_killed_ends_without_a_code(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 60")
    launched = msgspec.json.decode(
        (host.node.log_path(container).parent / "launched.json").read_bytes(), type=Launched
    )
    os.kill(launched.supervisor.pid, signal.SIGKILL)
    host.node.signal_container(container, "KILL")
    assert host.wait_exit(container).code is None


def test_port_mappings_survive_the_agent(host: Host, number: int) -> None:
    ports = (PortBinding(container="c", container_port=80, host_port=0),)
    port = host.sandbox(number, "bridge", ports=ports).ports[0].host_port
    host.reopen()
    table = subprocess.run(
        ["nft", "list", "map", "ip", host.config.nft_table, "tcp_ports"], check=True, capture_output=True, text=True
    ).stdout
    assert f"{port} : " in table


def test_sandboxes_survive_the_end_of_their_holder(host: Host, number: int) -> None:
    host.sandbox(number)
    host.start(number, "sleep 60")
    host.node.detach()
    for note in ("keep.json", "launch.json"):
        holder = msgspec.json.decode((host.config.path / note).read_bytes(), type=ProcessRef)
        os.kill(holder.pid, signal.SIGKILL)
        assert wait_gone(holder, DEADLINE_S)
    host.node = Node.open(host.config)
    assert "eth0" in host.output(host.start(number, "ip addr", 1))


def test_one_agent_at_a_time(host: Host) -> None:
    with pytest.raises(DriverError, match="in use by process"):
        Node.open(host.config)
    with pytest.raises(DriverError, match="in use by process"):
        Node.sweep(host.config)


_LAUNCHER = """
import sys
from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.drivers.processes import ProcessRef, wait_gone
from moorage.agent.drivers.records import Launched
from moorage.agent.spec import *
import msgspec
config = msgspec.json.decode(sys.argv[1].encode(), type=NodeConfig)
image = RootImage(digest="x", layers=(sys.argv[2],))
node = Node.open(config)
print("open", flush=True)
for number in range(10, 100):
    name = f"{number:032x}"
    address, mac = f"10.213.9.{number}", f"02:00:00:00:09:{number:02x}"
    interface = Interface(address=address, prefix_len=20, gateway="10.213.0.1", mac=mac)
    spec = SandboxSpec(id=name, network_mode="awsvpc", isolation=sys.argv[3], interface=interface)
    node.create_sandbox(spec)
    spec = ContainerSpec(id=f"{name}-0", sandbox=name, name="c", image="x", command=("sleep", "100"))
    node.start_container(spec, image)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("isolation", ["namespaces", "userns"])
def test_an_agent_killed_anywhere_leaves_what_the_next_one_can_use_or_sweep(
    tmp_path: Path, image: RootImage, isolation: str
) -> None:
    config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="crashing",
        directory=str(tmp_path / "node"),
        vpc_cidr="10.213.0.0/16",
        private_cidr="10.215.0.0/16",
        isolations=("namespaces", "userns"),
    )
    arguments = [sys.executable, "-c", _LAUNCHER, msgspec.json.encode(config).decode(), image.layers[0], isolation]
    opened: list[Node] = []
    try:
        for wait_s in (0.004, 0.011, 0.019, 0.027, 0.042):
            with subprocess.Popen(arguments, stdout=subprocess.PIPE) as agent:
                assert agent.stdout is not None
                assert agent.stdout.readline() == b"open\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    agent.wait(wait_s)
                agent.kill()
            host = Host(config, image)
            opened.append(host.node)
            for status in host.node.list_containers():
                assert status.state in ("created", "running")
                number = int(status.id.partition("-")[0], 16)
                assert host.started(number, ("sleep", "100")).state == "running"
            for sandbox in host.node.list_sandboxes():
                host.node.remove_sandbox(sandbox.id)
            assert not host.node.list_containers()
            opened.pop().detach()
    finally:
        for node in opened:
            node.detach()
        Node.sweep(config)
    assert not {kind: things for kind, things in traces(config).items() if things}
