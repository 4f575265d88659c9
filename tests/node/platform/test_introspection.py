"""What an operator switches on for a node: the introspection API, and files that tell containers of themselves."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.node.platform.installation import (
    FOREVER,
    LOG_GROUP,
    Installation,
    container_of,
    free_port,
    short,
    until,
)


def reconfigured(installation: Installation, **changes: Any) -> None:
    """Start it anew with other settings of its container instance."""
    installation.moor("down")
    settings = installation.settings
    for node in settings["nodes"]:
        if not node["fleet"]:
            node |= changes
    (installation.home / "installation.json").write_text(json.dumps(settings))
    installation.up()


def got(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_a_node_tells_people_and_containers_what_it_runs(own: Installation) -> None:
    port = free_port()
    reconfigured(own, introspection=f"127.0.0.1:{port}", metadata_files=True)
    (instance,) = own.ecs.list_container_instances()["containerInstanceArns"]

    status, metadata = got(port, "/v1/metadata")
    assert (status, metadata["Cluster"], metadata["ContainerInstanceArn"]) == (200, "default", instance)
    assert metadata["Version"].startswith("Moorage Agent - v")
    assert got(port, "/")[1] == {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
    assert got(port, "/v1/tasks") == (200, {"Tasks": []})

    command = ["sh", "-c", 'until grep READY "$ECS_CONTAINER_METADATA_FILE"; do usleep 20000; done; sleep 1000']
    mapping = {"portMappings": [{"containerPort": 8080}]}
    task = own.running(command, logs=LOG_GROUP, container=mapping)
    arn, id_ = task["taskArn"], container_of(task)["runtimeId"]
    (line,) = until(lambda: own.log_lines(LOG_GROUP, task), "the metadata file")
    file = json.loads(line)
    assert (file["TaskARN"], file["ContainerInstanceARN"], file["ContainerID"]) == (arn, instance, id_)
    assert file["PortMappings"][0]["HostPort"] == container_of(task)["networkBindings"][0]["hostPort"]

    (listed,) = got(port, "/v1/tasks")[1]["Tasks"]
    assert (listed["Arn"], listed["KnownStatus"]) == (arn, "RUNNING")
    assert [one["DockerId"] for one in listed["Containers"]] == [id_]
    assert got(port, f"/v1/tasks?taskarn={arn}") == (200, listed)
    assert got(port, f"/v1/tasks?dockerid={id_[:12]}") == (200, listed)
    assert got(port, f"/v1/tasks?taskarn={arn}&dockerid={id_}")[0] == 400
    assert got(port, f"/v1/tasks?taskarn={short(task)}")[0] == 404

    fargate = own.running(FOREVER, fargate=True)
    assert [one["Arn"] for one in got(port, "/v1/tasks")[1]["Tasks"]] == [arn]
    own.stopped(fargate)
    own.stopped(task)
