"""A closed or swept node leaves nothing; its neighbours do not notice."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.spec import PortBinding, RootImage

from .host import Host, container_id, traces

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def _config(tmp_path: Path, agent: str, installation: str, claims: str = "/run/moorage") -> NodeConfig:
    return NodeConfig(
        installation=installation,
        agent=agent,
        directory=str(tmp_path / agent),
        vpc_cidr="10.216.0.0/16",
        private_cidr="10.217.0.0/17" if agent == "one" else "10.217.128.0/17",
        isolations=("namespaces", "userns"),
        claims_directory=claims,
    )


def test_closing_a_busy_node_leaves_nothing(tmp_path: Path, image: RootImage) -> None:
    config = _config(tmp_path, "one", secrets.token_hex(4))
    host = Host(config, image)
    host.sandbox(1, isolation="userns")
    host.start(1, "sleep 100")
    host.sandbox(2, "bridge", ports=(PortBinding(container="c", container_port=80, host_port=0),))
    host.start(2, "trap '' TERM; while :; do sleep 1; done")
    assert traces(config)["links"]
    assert not traces(config)["mounts"]
    host.node.close()
    assert not {kind: things for kind, things in traces(config).items() if things}


def test_two_agents_of_one_installation_meet_only_in_the_network(tmp_path: Path, image: RootImage) -> None:
    installation = secrets.token_hex(4)
    one = Host(_config(tmp_path, "one", installation), image)
    two = Host(_config(tmp_path, "two", installation), image)
    try:
        one.sandbox(31)
        one.start(31, "while :; do echo other-agent | nc -l -p 80; done")
        two.sandbox(32)
        asking = two.start(32, "until nc 10.213.0.31 80; do sleep 0.05; done")
        assert "other-agent" in two.output(asking)
        one.node.close()
        assert two.node.status(container_id(32)).state == "stopped"
        assert "eth0" in two.output(two.start(32, "ip addr", 1))
    finally:
        two.node.close()
        Node.sweep(one.config)
    for config in (one.config, two.config):
        assert not {kind: things for kind, things in traces(config).items() if things}


def test_the_last_node_puts_the_host_back_as_it_was(tmp_path: Path, image: RootImage) -> None:
    """With claims of its own, so that nodes of others on this host do not count."""
    before = _FORWARDING.read_text()
    config = _config(tmp_path, "one", secrets.token_hex(4), claims=str(tmp_path / "claims"))
    host = Host(config, image)
    assert _FORWARDING.read_text() == "1\n"
    host.node.close()
    assert _FORWARDING.read_text() == before
    assert not (tmp_path / "claims").exists()


def test_sweeping_what_never_was_is_no_failure(tmp_path: Path) -> None:
    Node.sweep(_config(tmp_path, "one", secrets.token_hex(4)))
