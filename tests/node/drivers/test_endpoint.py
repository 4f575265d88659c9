"""169.254.170.2: where each sandbox finds its own agent, whatever network it has."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.spec import Isolation, NetworkMode, PortBinding

from .host import Host, sandbox_id

ASK = "until nc -w 2 169.254.170.2 80 </dev/null; do usleep 20000; done"


@contextlib.contextmanager
def answering(listener: socket.socket, name: str) -> Iterator[None]:
    """An agent that answers each connection with `name` and who asked."""
    ended = threading.Event()
    listener.settimeout(0.05)

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, peer = listener.accept()
                with connection:
                    connection.sendall(f"{name} sees {peer[0]}\n".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("mode", ["awsvpc", "bridge"])
@pytest.mark.parametrize("isolation", ["namespaces", "userns", "runsc"])
def test_a_sandbox_with_a_link_is_seen_by_its_address(
    host: Host, number: int, mode: NetworkMode, isolation: Isolation
) -> None:
    sandbox = host.sandbox(number, mode, isolation)
    with answering(host.node.endpoint, "agent"):
        assert host.output(host.start(number, ASK)).strip() == f"agent sees {sandbox.address}"


def test_a_task_in_the_hosts_network_is_seen_as_the_host(host: Host, number: int) -> None:
    host.sandbox(number, "host")
    assert host.node.sandbox_address(sandbox_id(number)) == ""
    first, second = host.node.host_endpoint(), host.node.host_endpoint()
    assert first is not None
    assert second is not None
    with first, second, answering(first, "agent"), answering(second, "agent"):
        assert host.output(host.start(number, ASK)).strip() == "agent sees 169.254.170.2"


def test_a_task_without_a_network_has_the_endpoint_inside_and_port_80_for_itself(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    command = f"nc -l -p 80 -e true & {ASK}; ls /sys/class/net"
    for _ in range(2):  # the second agent opens it again where the first had it
        inside: dict[str, socket.socket | None] = {}
        host.node.watch_endpoints(inside.__setitem__)
        listener = inside[sandbox_id(number)]
        assert listener is not None
        with listener, answering(listener, "inside"):
            container = host.start(number, command)
            assert host.output(container).split("\n")[:2] == ["inside sees 169.254.170.2", "lo"]
        host.node.remove_container(container)
        host.reopen()
    ended: list[tuple[str, bool]] = []
    host.node.watch_endpoints(lambda sandbox, listener: ended.append((sandbox, _closed(listener))))
    host.node.remove_sandbox(sandbox_id(number))
    assert ended == [(sandbox_id(number), True), (sandbox_id(number), False)]


def _closed(listener: socket.socket | None) -> bool:
    """Whether there was one; it is closed."""
    if listener is not None:
        listener.close()
    return listener is not None


def test_an_isolated_sandbox_reaches_nothing_else_of_the_host_there(host: Host, number: int) -> None:
    host.sandbox(number, "awsvpc", "userns")
    with socket.socket() as other:
        other.bind(("169.254.170.2", 0))
        other.listen()
        with answering(other, "host"):
            container = host.start(
                number, f"nc -w 1 169.254.170.2 {other.getsockname()[1]} </dev/null 2>/dev/null; echo $?"
            )
            assert host.output(container) == "1"


def test_each_node_of_a_host_has_a_port_and_knows_the_others(host: Host, number: int, tmp_path: Path) -> None:
    other_config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="instance",
        directory=str(tmp_path / "node"),
        vpc_cidr="10.215.0.0/16",
        private_cidr="10.216.0.0/16",
    )
    other = Node.open(other_config)
    try:
        ports = [node.endpoint.getsockname()[1] for node in (host.node, other)]
        assert ports[0] != ports[1]
        assert ports[1] in host.node.other_endpoints()
        assert ports[0] in other.other_endpoints()
        sandbox = host.sandbox(number, "bridge")
        with answering(host.node.endpoint, "mine"), answering(other.endpoint, "theirs"):
            assert host.output(host.start(number, ASK)).strip() == f"mine sees {sandbox.address}"
    finally:
        other.close()
    assert ports[1] not in host.node.other_endpoints()


def test_a_reopened_node_answers_the_sandboxes_it_finds(host: Host, number: int) -> None:
    sandbox = host.sandbox(number)
    host.reopen()
    with answering(host.node.endpoint, "agent"):
        assert host.output(host.start(number, ASK)).strip() == f"agent sees {sandbox.address}"


def test_a_task_on_host_port_80_does_not_take_the_endpoints_place(host: Host, number: int) -> None:
    binding = PortBinding(container="c0", container_port=80, host_port=80)
    host.sandbox(number, "bridge", ports=(binding,))
    with answering(host.node.endpoint, "agent"):
        assert host.output(host.start(number, ASK)).startswith("agent sees ")
