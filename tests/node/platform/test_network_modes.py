"""Container instances: bridge, host, none and awsvpc."""

from __future__ import annotations

from tests.node.platform.installation import (
    FOREVER,
    IMAGE,
    Installation,
    address_of,
    container_of,
    fetch,
    fetched,
    free_port,
    served,
    until,
)
from tests.node.platform.test_fargate import host_addresses

HTTPD = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


def test_bridge_publishes_a_dynamic_port_and_tells_it(shared: Installation) -> None:
    mapping = {"portMappings": [{"containerPort": 8080}]}
    tasks = [shared.running(HTTPD, container=mapping) for _ in range(2)]
    ports: list[int] = []
    for task in tasks:
        (binding,) = container_of(task)["networkBindings"]
        assert (binding["containerPort"], binding["protocol"], binding["bindIP"]) == (8080, "tcp", "0.0.0.0")
        ports.append(binding["hostPort"])
        for place in ("127.0.0.1", host_addresses()[0]):
            assert served(place, ports[-1])
    assert ports[0] != ports[1]
    for task in tasks:
        shared.stopped(task)
    until(lambda: fetched("127.0.0.1", ports[0], "/passwd") is None, "the port is closed again")


def test_a_static_port_is_given_once_and_the_second_task_is_told_why(shared: Installation) -> None:
    port = free_port()
    mapping = {"portMappings": [{"containerPort": 8080, "hostPort": port}]}
    task = shared.running(HTTPD, container=mapping)
    assert container_of(task)["networkBindings"][0]["hostPort"] == port
    assert served("127.0.0.1", port)
    answer = shared.ecs.run_task(taskDefinition=task["taskDefinitionArn"], launchType="EC2")
    assert answer["tasks"] == []
    (failure,) = answer["failures"]
    assert failure["reason"] == "RESOURCE:PORTS"
    shared.stopped(task)
    again = shared.running(HTTPD, container=mapping)
    assert served("127.0.0.1", port)
    shared.stopped(again)


def test_udp_ports_are_published_too(shared: Installation) -> None:
    mapping = {"portMappings": [{"containerPort": 9000, "protocol": "udp"}]}
    task = shared.running(FOREVER, container=mapping)
    (binding,) = container_of(task)["networkBindings"]
    assert binding["protocol"] == "udp"
    assert binding["hostPort"] > 0
    shared.stopped(task)


def test_host_mode_shares_the_hosts_network(shared: Installation) -> None:
    port = free_port()
    task = shared.running(["httpd", "-f", "-p", f"{port}", "-h", "/etc"], network="host")
    assert served("127.0.0.1", port)
    shared.stopped(task)


def test_none_has_a_loopback_and_nothing_else(shared: Installation) -> None:
    assert shared.output(["sh", "-c", "ls /sys/class/net; ip route"], network="none") == ["lo"]


def test_awsvpc_on_an_instance_has_the_address_that_is_told(shared: Installation) -> None:
    task = shared.running(HTTPD, network="awsvpc")
    assert served(address_of(task), 8080)
    shared.stopped(task)


def test_containers_of_an_awsvpc_task_share_one_localhost(shared: Installation) -> None:
    server = {"name": "server", "image": IMAGE, "command": HTTPD, "memory": 64, "stopTimeout": 2}
    client = f"until {fetch('127.0.0.1 8080')[-1]}; do usleep 50000; done"
    for how in ({"fargate": True}, {"network": "awsvpc"}):
        lines = shared.output(["sh", "-c", client], others=[server], **how)
        assert any(line.startswith("root:") for line in lines), lines


def test_containers_of_a_bridge_task_do_not_share_their_host_name_file_but_resolve_it(shared: Installation) -> None:
    lines = shared.output(["sh", "-c", "hostname; grep -c $(hostname) /etc/hosts; cat /etc/resolv.conf | head -1"])
    assert lines[1] == "1"
    assert lines[2].startswith(("nameserver", "search", "#", "options"))


def test_an_instance_task_in_another_zone_finds_no_place_and_is_told_so(shared: Installation) -> None:
    definition = shared.define(FOREVER, network="awsvpc")
    answer = shared.ecs.run_task(
        taskDefinition=definition["taskDefinitionArn"], launchType="EC2", networkConfiguration=shared.network("b")
    )
    assert answer["failures"][0]["reason"] == "LOCATION"
