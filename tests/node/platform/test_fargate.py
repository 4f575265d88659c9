"""Fargate: a task with an address of its own, sizes that hold, and no way to the host."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.node.platform.installation import (
    FOREVER,
    IMAGE,
    Installation,
    address_of,
    container_of,
    fetch,
    served,
    short,
)
from tests.node.platform.traces import container_pids

HOG = ["awk", 'BEGIN{while(1) a[i++]=sprintf("%9999d",i)}']
HTTPD = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


@contextmanager
def listener(host: str = "0.0.0.0") -> Iterator[int]:
    """A port of this machine that says "reached" to whoever connects."""
    with socket.create_server((host, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"reached\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def host_addresses() -> list[str]:
    """Every IPv4 address of this machine but the loopback's."""
    listed = subprocess.run(["ip", "-4", "-o", "addr", "show"], check=True, capture_output=True, text=True).stdout
    return [found for found in re.findall(r" inet ([0-9.]+)", listed) if not found.startswith("127.")]


def test_its_address_is_reached_from_the_host_and_from_another_task(shared: Installation) -> None:
    web = shared.running(HTTPD, fargate=True)
    address = address_of(web)
    assert served(address, 8080)
    assert container_of(web)["networkInterfaces"][0]["privateIpv4Address"] == address
    page = shared.output(fetch(f"{address} 8080"), fargate=True)
    assert any(line.startswith("root:") for line in page), page
    shared.stopped(web)


def test_ec2_tells_the_same_interface_while_the_task_lives_and_forgets_it_afterwards(shared: Installation) -> None:
    task = shared.running(FOREVER, fargate=True)
    details = {pair["name"]: pair["value"] for pair in task["attachments"][0]["details"]}
    ec2 = shared.client("ec2")
    ids = [details["networkInterfaceId"]]
    (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    assert interface["PrivateIpAddress"] == details["privateIPv4Address"]
    assert interface["MacAddress"] == details["macAddress"]
    assert interface["SubnetId"] == details["subnetId"]
    inside = shared.output(["ip", "link", "show", "eth0"], fargate=True)
    assert any("link/ether" in line for line in inside)
    shared.stopped(task)
    with pytest.raises(ClientError) as refused:
        ec2.describe_network_interfaces(NetworkInterfaceIds=ids)
    assert refused.value.response["Error"]["Code"] == "InvalidNetworkInterfaceID.NotFound"


def test_root_inside_is_nobody_of_any_account_on_the_host(shared: Installation) -> None:
    task = shared.running(FOREVER, fargate=True)
    pids = container_pids(shared.settings, short(task))
    assert pids
    for pid in pids:
        uids = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
        assert all(int(uid) >= 65_536 for uid in uids.split()[1:]), uids
    shared.stopped(task)


def test_nothing_that_listens_on_the_host_is_reachable_from_a_task(shared: Installation) -> None:
    addresses = host_addresses()
    with listener() as port:
        script = "; ".join(
            f"echo {place} $(nc -w 1 {place} {port} </dev/null 2>/dev/null || echo refused)"
            for place in (*addresses, "127.0.0.1")
        )
        script += "; gateway=$(ip route | awk '/default/ {print $3}')"
        script += f"; echo gateway $(nc -w 1 $gateway {port} </dev/null 2>/dev/null || echo refused)"
        lines = shared.output(["sh", "-c", script], fargate=True)
        assert len(lines) == len(addresses) + 2, lines
        assert all(line.endswith("refused") for line in lines), lines
        # The same words do reach the host from where that is allowed, so the test tests something.
        reached = shared.output(["sh", "-c", script])
        assert any(line.endswith("reached") for line in reached), reached


def test_the_api_and_its_credentials_are_out_of_reach_of_a_task(shared: Installation) -> None:
    asked = shared.output(fetch(f"127.0.0.1 {shared.settings['port']}"), fargate=True)
    assert "HTTP" not in "".join(asked)
    inside = shared.output(["sh", "-c", f"ls {shared.home} 2>&1; cat {shared.home}/credentials 2>&1"], fargate=True)
    assert "AKIA" not in "".join(inside)


def test_more_memory_than_the_task_has_ends_in_out_of_memory(shared: Installation) -> None:
    task = shared.ended(HOG, fargate=True, container={"memory": 512})
    container = container_of(task)
    assert container["exitCode"] == 137
    assert container["reason"].startswith("OutOfMemoryError: Container killed due to memory usage")
    assert task["stopCode"] == "EssentialContainerExited"


def test_the_task_size_binds_all_of_its_containers_together(shared: Installation) -> None:
    hog = {"name": "hog", "image": IMAGE, "command": HOG}
    task = shared.ended(FOREVER, fargate=True, others=[hog])
    assert container_of(task, "hog")["exitCode"] == 137
    assert container_of(task, "hog")["reason"].startswith("OutOfMemoryError")


def test_the_task_gets_no_more_cpu_than_its_size_says(shared: Installation) -> None:
    # Two loops on two cores for two seconds would take 400 ticks of 10 ms; a quarter of a core is 50.
    burn = (
        "while :; do :; done & a=$!; while :; do :; done & b=$!; sleep 2; cat /proc/$a/stat /proc/$b/stat; kill $a $b"
    )
    lines = shared.output(["sh", "-c", burn], fargate=True)
    ticks = sum(int(value) for line in lines[:2] for value in line.rpartition(")")[2].split()[11:13])
    assert 20 <= ticks <= 75, lines


def test_only_awsvpc_is_a_network_mode_of_fargate(shared: Installation) -> None:
    with pytest.raises(ClientError, match="awsvpc") as refused:
        shared.define(FOREVER, fargate=True, task={"networkMode": "bridge"})
    assert refused.value.response["Error"]["Code"] == "ClientException"


def test_a_task_without_a_subnet_is_refused(shared: Installation) -> None:
    definition = shared.define(FOREVER, fargate=True)
    with pytest.raises(ClientError, match=r"(?i)network.?configuration") as refused:
        shared.ecs.run_task(taskDefinition=definition["taskDefinitionArn"], launchType="FARGATE")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"


def test_a_size_that_fargate_does_not_sell_is_refused(shared: Installation) -> None:
    with pytest.raises(ClientError, match="No Fargate configuration exists for given values"):
        shared.define(FOREVER, fargate=True, task={"cpu": "256", "memory": "4096"})


def test_open_files_are_limited_but_many(shared: Installation) -> None:
    (limit,) = shared.output(["sh", "-c", "ulimit -n"], fargate=True)
    assert 1024 <= int(limit) <= 65_535
