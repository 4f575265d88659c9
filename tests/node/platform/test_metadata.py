"""Task metadata as a container reads it, in every network mode and on Fargate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.node.platform.installation import (
    IMAGE,
    LOG_GROUP,
    Installation,
    address_of,
    container_of,
    short,
    until,
)

V4, V3 = "$ECS_CONTAINER_METADATA_URI_V4", "$ECS_CONTAINER_METADATA_URI"
MODES = ["bridge", "awsvpc", "host", "none", "fargate"]


def ask(*urls: str) -> list[str]:
    """A command that prints what each URL answers, a line each; nc, because wget keeps the text of a refusal."""
    get = (
        'get() { path="${1#http://*/}"; printf "GET /$path HTTP/1.0\\r\\n\\r\\n" | nc -w 5 169.254.170.2 80 '
        "| sed -e '1,/^\\r*$/d'; echo; }"
    )
    return ["sh", "-c", "; ".join([get, *(f'get "{url}"' for url in urls)])]


def how(mode: str) -> dict[str, Any]:
    return {"fargate": True} if mode == "fargate" else {"network": mode}


def asked(installation: Installation, mode: str, *urls: str, **more: Any) -> list[Any]:
    """What the URLs answer to a container in that mode."""
    lines = installation.output(ask(*urls), **how(mode), **more)
    return [json.loads(line) for line in lines if line]


@pytest.mark.parametrize("mode", MODES)
def test_a_container_reads_of_itself_and_its_task(shared: Installation, mode: str) -> None:
    command = f'wget -qO- "{V4}"; echo; wget -qO- "{V4}/task"'
    task = shared.ended(["sh", "-c", command], logs=LOG_GROUP, **how(mode))
    container, whole = (json.loads(line) for line in shared.log_lines(LOG_GROUP, task) if line)
    assert container["ContainerARN"] == container_of(task)["containerArn"]
    assert (container["Name"], container["Image"], container["Type"]) == ("main", IMAGE, "NORMAL")
    assert container["DockerId"] == container_of(task)["runtimeId"]
    assert container["Limits"]["Memory"] == 64
    assert (container["DesiredStatus"], container["KnownStatus"]) == ("RUNNING", "RUNNING")
    assert container["LogDriver"] == "awslogs"
    assert container["LogOptions"]["awslogs-group"] == LOG_GROUP
    assert container["Labels"]["com.amazonaws.ecs.task-arn"] == task["taskArn"]
    assert container["CreatedAt"] <= container["StartedAt"]
    assert whole["TaskARN"] == task["taskArn"]
    assert (whole["Family"], whole["Revision"]) == ("test", task["taskDefinitionArn"].rpartition(":")[2])
    assert whole["AvailabilityZone"] == task["availabilityZone"]
    assert whole["LaunchType"] == ("FARGATE" if mode == "fargate" else "EC2")
    assert whole["Cluster"] == (task["clusterArn"] if mode == "fargate" else "default")
    assert [one["DockerId"] for one in whole["Containers"]] == [container["DockerId"]]
    (network,) = container["Networks"]
    assert network["NetworkMode"] == ("awsvpc" if mode == "fargate" else mode)
    if mode in ("awsvpc", "fargate"):
        assert network["IPv4Addresses"] == [address_of(task)]
        assert {"MACAddress", "IPv4SubnetCIDRBlock", "SubnetGatewayIpv4Address", "PrivateDNSName"} <= set(network)
    if mode == "fargate":
        assert container["DockerId"].startswith(f"{short(task)}-")
        assert whole["Limits"] == {"CPU": 0.25, "Memory": 512}
        assert whole["ClockDrift"]["ClockSynchronizationStatus"] in ("SYNCHRONIZED", "NOT_SYNCHRONIZED")


@pytest.mark.parametrize("mode", MODES)
def test_statistics_have_the_engines_shape(shared: Installation, mode: str) -> None:
    stats, whole = asked(shared, mode, f"{V4}/stats", f"{V4}/task/stats")
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert stats["cpu_stats"]["system_cpu_usage"] > 0
    assert 0 < stats["memory_stats"]["usage"] <= stats["memory_stats"]["limit"] == 64 << 20
    assert stats["pids_stats"]["current"] >= 1
    assert {"precpu_stats", "blkio_stats", "read", "preread", "name", "id"} <= set(stats)
    assert ("networks" in stats) == ("network_rate_stats" in stats) == (mode not in ("host", "none"))
    assert [*whole] == [stats["id"]]


def test_version_3_knows_less(shared: Installation) -> None:
    container, whole = asked(shared, "bridge", V3, f"{V3}/task")
    assert not {"ContainerARN", "LogDriver", "Snapshotter", "RestartCount"} & set(container)
    assert not {"LaunchType", "ServiceName"} & set(whole)


def test_version_2_knows_a_task_by_its_address(shared: Installation) -> None:
    base = "http://169.254.170.2/v2"
    whole, stats = asked(shared, "awsvpc", f"{base}/metadata", f"{base}/stats")
    assert [one["DockerId"] for one in whole["Containers"]] == [*stats]
    (refused,) = asked(shared, "bridge", f"{base}/metadata")
    assert refused.startswith("V2 metadata handler:")


def test_a_dynamic_host_port_is_told(shared: Installation) -> None:
    command = ask(V4)
    command[-1] += "; sleep 1000"
    mapping = {"portMappings": [{"containerPort": 8080}]}
    task = shared.running(command, network="bridge", logs=LOG_GROUP, container=mapping)
    (line,) = until(lambda: [line for line in shared.log_lines(LOG_GROUP, task) if line], "the container's answer")
    (port,) = json.loads(line)["Ports"]
    (binding,) = container_of(task)["networkBindings"]
    assert port == {
        "ContainerPort": 8080,
        "Protocol": "tcp",
        "HostPort": binding["hostPort"],
        "HostIp": "0.0.0.0",
    }
    shared.stopped(task)


def test_tags_are_those_of_the_control_plane(shared: Installation) -> None:
    tags = {"request": {"tags": [{"key": "team", "value": "blue"}]}}
    (whole,) = asked(shared, "bridge", f"{V4}/taskWithTags", **tags)
    assert whole["TaskTags"] == {"team": "blue"}
    assert "Errors" not in whole


def test_fargate_has_no_tags_there(shared: Installation) -> None:
    assert shared.output(ask(f"{V4}/taskWithTags"), fargate=True)[0].startswith("404")


@pytest.mark.parametrize("mode", ["bridge", "awsvpc", "host", "fargate"])
def test_a_leaked_id_is_of_no_use_to_another_task(shared: Installation, mode: str) -> None:
    victim_command = ["sh", "-c", f'echo "{V4}"; sleep 1000']
    victim = shared.running(victim_command, logs=LOG_GROUP, **how("awsvpc"))
    (uri,) = until(lambda: shared.log_lines(LOG_GROUP, victim), "the victim's URI")
    (answer,) = asked(shared, mode, uri)
    assert answer.startswith("V4 container metadata handler:"), answer
    shared.stopped(victim)


def test_the_environment_tells_where_it_runs(shared: Installation) -> None:
    words = ["AWS_EXECUTION_ENV", "AWS_REGION", "AWS_DEFAULT_REGION", "ECS_AGENT_URI"]
    command = ["sh", "-c", "; ".join(f"echo ${word}" for word in words)]
    for launch, name in (({"network": "bridge"}, "AWS_ECS_EC2"), ({"fargate": True}, "AWS_ECS_FARGATE")):
        lines = shared.output(command, **launch)
        assert lines[:3] == [name, shared.region, shared.region]
        assert lines[3].startswith("http://169.254.170.2/api/")


def test_a_task_without_a_role_cannot_protect_itself(shared: Installation) -> None:
    (answer,) = asked(shared, "bridge", "$ECS_AGENT_URI/task-protection/v1/state")
    assert answer["error"]["Code"] == "AccessDeniedException"


def test_a_restarted_agent_answers_the_same_questions(breakable: Installation) -> None:
    command = ask(V4)
    command[-1] = f'{command[-1].partition("; get ")[0]}; while :; do get "{V4}"; sleep 0.5; done'
    nodes = {"instance": breakable.pid("instance"), "fargate": breakable.pid("fargate")}
    tasks = [breakable.running(command, logs=LOG_GROUP, **how(mode)) for mode in MODES]
    breakable.kill(*nodes)
    breakable.until_ready(other_than=nodes)

    def answers(task: dict[str, Any]) -> list[str]:
        """Those that came; while no agent is there, none does."""
        return [line for line in breakable.log_lines(LOG_GROUP, task) if line.startswith("{")]

    before = {task["taskArn"]: len(answers(task)) for task in tasks}
    for task in tasks:
        until(lambda task=task: len(answers(task)) > before[task["taskArn"]] + 2, "answers of the second agent")
        assert {json.loads(line)["DockerId"] for line in answers(task)} == {container_of(task)["runtimeId"]}
        breakable.stopped(task)


def test_side_by_side_each_task_in_the_hosts_network_finds_its_own_agent(
    shared: Installation, own: Installation
) -> None:
    for installation in (shared, own):
        task = installation.ended(ask(*[f"{V4}/task"] * 5), logs=LOG_GROUP, network="host")
        lines = [line for line in installation.log_lines(LOG_GROUP, task) if line]
        assert [json.loads(line)["TaskARN"] for line in lines] == [task["taskArn"]] * 5


def test_more_than_the_rate_allows_is_told_so(own: Installation) -> None:
    command = [
        "sh",
        "-c",
        f'for i in $(seq 300); do {ask(V4)[-1].partition("; get ")[0]}; get "{V4}"; done | sort | uniq -c',
    ]
    lines = own.output(command, network="bridge")
    assert any("You have reached maximum request limit." in line for line in lines), lines
