"""Who can reach whom, in each network mode."""

from __future__ import annotations

import os
import socket

import pytest

from moorage.agent.spec import DriverError, Mount, PortBinding

from .host import Host, container_id, sandbox_id, wait_for

# busybox serves no UDP; the host's perl does.
_UDP_ECHO = """socket S,PF_INET,SOCK_DGRAM,17; bind S,sockaddr_in(69,INADDR_ANY) or die;
while ($from = recv S,$_,99,0) { send S,$_,0,$from }"""
_SERVE = "while :; do echo {word} | nc -l -p {port}; done"


def _ask(address: str, port: int) -> str:
    """What a TCP server says, asked from the host; "" while it does not answer."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(100).decode().strip()
    except OSError:
        return ""


def _serve(host: Host, number: int, word: str, port: int = 8000) -> None:
    host.start(number, _SERVE.format(word=word, port=port))


def test_the_host_reaches_a_task_at_its_address(host: Host, number: int) -> None:
    sandbox = host.sandbox(number)
    _serve(host, number, "task-here")
    wait_for("the task's answer", lambda: _ask(sandbox.address, 8000) == "task-here")


def test_a_task_sees_the_address_it_was_given(host: Host, number: int) -> None:
    sandbox = host.sandbox(number)
    shown = host.output(host.start(number, "ip addr show eth0; ip route"))
    assert f"inet {sandbox.address}/20" in shown
    assert f"02:00:00:00:00:{number:02x}" in shown
    assert "default via 10.213.0.1" in shown


def test_tasks_reach_each_other(host: Host, number: int) -> None:
    server, client = number, number + 100
    address = host.sandbox(server).address
    host.sandbox(client)
    _serve(host, server, "neighbour")
    asking = host.start(client, f"until nc {address} 8000; do sleep 0.05; done")
    assert "neighbour" in host.output(asking)


def test_an_address_of_the_vpc_that_nobody_has_is_refused_at_once(host: Host, number: int) -> None:
    host.sandbox(number)
    container = host.start(number, "nc -w 10 10.213.200.200 80; echo done")
    ended = host.output(container)
    assert "done" in ended
    assert "timed out" not in ended


def test_the_same_sandbox_can_be_made_again_at_once(host: Host, number: int) -> None:
    for _ in range(3):
        host.sandbox(number)
        host.start(number, "sleep 60")
        host.node.remove_sandbox(sandbox_id(number))


def test_bridge_mode_finds_a_free_host_port_and_loopback_reaches_it(host: Host, number: int) -> None:
    binding = PortBinding(container="c0", container_port=8000, host_port=0)
    sandbox = host.sandbox(number, "bridge", ports=(binding,))
    _serve(host, number, "mapped")
    port = sandbox.ports[0].host_port
    assert port >= 1024
    wait_for("127.0.0.1", lambda: _ask("127.0.0.1", port) == "mapped")
    wait_for("the gateway's address", lambda: _ask("10.214.0.1", port) == "mapped")


def test_bridge_mode_maps_udp(host: Host, number: int) -> None:
    binding = PortBinding(container="c0", container_port=69, host_port=0, protocol="udp")
    sandbox = host.sandbox(number, "bridge", ports=(binding,))
    mounts = tuple(Mount(source=path, target=path, readonly=True) for path in ("/usr", "/lib", "/lib64"))
    host.start(number, f"exec /usr/bin/perl -MSocket -e '{_UDP_ECHO}'", mounts=mounts)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)

        def answered() -> bool:
            asking.sendto(b"ping", ("127.0.0.1", sandbox.ports[0].host_port))
            try:
                return asking.recv(100).startswith(b"ping")
            except OSError:
                return False

        wait_for("an answer by UDP", answered)


def test_bridge_mode_containers_reach_each_other_through_the_host_port(host: Host, number: int) -> None:
    server, client = number, number + 100
    binding = PortBinding(container="c0", container_port=8000, host_port=0)
    sandbox = host.sandbox(server, "bridge", ports=(binding,))
    host.sandbox(client, "bridge")
    _serve(host, server, "through-the-host")
    port = sandbox.ports[0].host_port
    asking = host.start(client, f"until nc 10.214.0.1 {port}; do sleep 0.05; done")
    assert "through-the-host" in host.output(asking)


def test_a_container_cannot_reach_the_loopback_of_the_host(host: Host, number: int) -> None:
    host.sandbox(number, "bridge", ports=(PortBinding(container="c0", container_port=1, host_port=0),))
    with socket.create_server(("127.0.0.1", 0)) as secret:
        port = secret.getsockname()[1]
        container = host.start(
            number,
            "ip addr flush dev lo; ip route add 127.0.0.0/8 via 10.214.0.1; "
            f"nc -w 1 127.0.0.1 {port} && echo reached; echo end",
            capabilities_add=("NET_ADMIN",),
        )
        assert "reached" not in host.output(container)


def test_a_host_port_in_use_is_refused_by_name(host: Host, number: int) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DriverError, match=f"host port {port}/tcp is already in use"):
            host.sandbox(number, "bridge", ports=(PortBinding(container="c", container_port=80, host_port=port),))
    assert sandbox_id(number) not in {each.id for each in host.node.list_sandboxes()}


def test_two_sandboxes_never_share_a_host_port(host: Host, number: int) -> None:
    binding = PortBinding(container="c", container_port=80, host_port=0)
    port = host.sandbox(number, "bridge", ports=(binding,)).ports[0].host_port
    fixed = PortBinding(container="c", container_port=80, host_port=port)
    with pytest.raises(DriverError, match="already in use"):
        host.sandbox(number + 100, "bridge", ports=(fixed,))


def test_host_mode_shares_the_hosts_network(host: Host, number: int) -> None:
    host.sandbox(number, "host")
    container = host.start(number, "readlink /proc/self/ns/net; hostname")
    assert host.output(container).split() == [os.readlink("/proc/self/ns/net"), socket.gethostname()]


def test_none_mode_has_loopback_only(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "ls /sys/class/net; ping -c 1 -w 5 127.0.0.1 >/dev/null && echo answered")
    assert host.output(container).split() == ["lo", "answered"]


def test_an_isolated_task_has_no_way_to_the_host_but_answers_it(host: Host, number: int) -> None:
    sandbox = host.sandbox(number, isolation="userns")
    with socket.create_server(("0.0.0.0", 0)) as listening:
        port = listening.getsockname()[1]
        container = host.start(
            number, f"nc -w 1 10.213.0.1 {port} && echo reached; " + _SERVE.format(word="ok", port=80)
        )
        wait_for("the task's answer", lambda: _ask(sandbox.address, 80) == "ok")
        assert "reached" not in host.log(container)
    assert host.node.status(container_id(number)).state == "running"
