"""What people already use: the `aws` command after `moor env`, boto3's waiters and paginators."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any

from tests.node.platform.installation import BIN, FOREVER, LOG_GROUP, Installation, short


def environment(installation: Installation) -> dict[str, str]:
    """What a shell has after `eval "$(moor env)"`."""
    script = f"{installation.moor('env').stdout}\nenv -0"
    left = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(["sh", "-c", script], env=left, check=True, capture_output=True, text=True)
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


def aws(installation: Installation, words: str, *more: str) -> str:
    """Run the AWS CLI as in that shell; what it prints."""
    command = [str(BIN / "aws"), *shlex.split(words), *more]
    done = subprocess.run(command, env=environment(installation), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_env_for_scripts_is_the_same(shared: Installation) -> None:
    told = json.loads(shared.moor("env", "--json").stdout)
    assert told.items() <= environment(shared).items()


def test_the_aws_command_runs_a_task_waits_for_it_and_reads_its_log(shared: Installation) -> None:
    assert "cluster/default" in aws(shared, "ecs list-clusters --output text")
    container: dict[str, Any] = {
        "name": "main",
        "image": "test/busybox:1",
        "command": [*FOREVER[:2], f"echo from aws; {FOREVER[2]}"],
    }
    container["logConfiguration"] = {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "/aws/tool",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "x",
            "awslogs-create-group": "true",
        },
    }
    definition = {
        "family": "aws-tool",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/x",
        "containerDefinitions": [container],
    }
    aws(shared, "ecs register-task-definition --cli-input-json", json.dumps(definition))
    subnet = aws(shared, "ec2 describe-subnets --query Subnets[0].SubnetId --output text").strip()
    task = aws(
        shared,
        "ecs run-task --task-definition aws-tool --launch-type FARGATE --query tasks[0].taskArn --output text",
        "--network-configuration",
        f"awsvpcConfiguration={{subnets=[{subnet}]}}",
    ).strip()
    aws(shared, f"ecs wait tasks-running --tasks {task}")
    described = json.loads(aws(shared, f"ecs describe-tasks --tasks {task}"))
    assert described["tasks"][0]["lastStatus"] == "RUNNING"
    aws(shared, f"ecs stop-task --task {task}")
    aws(shared, f"ecs wait tasks-stopped --tasks {task}")
    assert "from aws" in aws(shared, "logs filter-log-events --log-group-name /aws/tool")
    assert '"Arn": "arn:aws:iam::123456789012:root"' in aws(shared, "sts get-caller-identity")


def test_boto3s_waiters_end(shared: Installation) -> None:
    task = shared.run(FOREVER, fargate=True)
    shared.ecs.get_waiter("tasks_running").wait(tasks=[task["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    shared.ecs.stop_task(task=task["taskArn"])
    shared.ecs.get_waiter("tasks_stopped").wait(tasks=[task["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def test_paginators_give_everything_once(shared: Installation) -> None:
    names = {f"page-{number:03}" for number in range(25)}
    for name in names:
        shared.ecs.create_cluster(clusterName=name)
        shared.ecs.register_task_definition(
            family=name, containerDefinitions=[{"name": "a", "image": "a", "memory": 8}]
        )

    def gathered(operation: str, member: str, **asked: object) -> list[str]:
        pages = shared.ecs.get_paginator(operation).paginate(**asked, PaginationConfig={"PageSize": 7})
        return [one for page in pages for one in page[member]]

    clusters = [arn.rpartition("/")[2] for arn in gathered("list_clusters", "clusterArns")]
    assert len(clusters) == len(set(clusters))
    assert names <= set(clusters)
    families = gathered("list_task_definition_families", "families", familyPrefix="page-")
    assert sorted(families) == sorted(names)
    definitions = gathered("list_task_definitions", "taskDefinitionArns", sort="DESC")
    assert len(definitions) == len(set(definitions)) >= 25
    zones = shared.client("ec2").describe_availability_zones()["AvailabilityZones"]
    subnets = shared.client("ec2").get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 5})
    assert {one["AvailabilityZone"] for page in subnets for one in page["Subnets"]} == {z["ZoneName"] for z in zones}
    assert len(zones) == 3


def test_a_client_token_makes_a_retry_harmless(shared: Installation) -> None:
    definition = shared.define(FOREVER)["taskDefinitionArn"]
    first, second = (
        shared.ecs.run_task(taskDefinition=definition, launchType="EC2", clientToken="once", count=2)["tasks"]
        for _ in range(2)
    )
    assert {short(one) for one in first} == {short(one) for one in second}
    for task in first:
        shared.ecs.stop_task(task=task["taskArn"])


def test_the_logs_api_pages_through_streams_and_events(shared: Installation) -> None:
    task = shared.ended(["seq", "300"], logs=LOG_GROUP)
    logs = shared.client("logs")
    stream = f"t/main/{short(task)}"
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=LOG_GROUP, logStreamNames=[stream], PaginationConfig={"PageSize": 50}
    )
    assert [event["message"] for page in pages for event in page["events"]] == [str(n) for n in range(1, 301)]
    found = logs.get_paginator("describe_log_streams").paginate(logGroupName=LOG_GROUP, logStreamNamePrefix="t/main/")
    assert stream in {one["logStreamName"] for page in found for one in page["logStreams"]}
