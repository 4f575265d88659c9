"""`moor run`, `ps`, `logs`, `stop`: tasks, through the ECS and Logs APIs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import click

from moorage.cli.client import Api
from moorage.cli.home import Home
from moorage.cli.output import console, show_json, show_table, told_plainly

RUN_LOG_GROUP: Final = "/moorage/run"
FAMILY_MAX_CHARS: Final = 255
SHOWN_ID_CHARS: Final = 12  # enough to tell tasks apart; every command takes the beginning of an id
FOLLOW_PERIOD_S: Final = 0.3  # between two looks while following; soon enough for eyes
# Fargate's own smallest size; an instance needs no task size.
FARGATE_CPU, FARGATE_MEMORY = "256", "512"
INSTANCE_MEMORY_MIB: Final = 128


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--ec2", is_flag=True, help="On the container instance instead of Fargate.")
@click.option("--name", help="Name of the container and the family. [default: from the image]")
@click.option("--cpu", help="CPU units, or as in '1 vCPU'.")
@click.option("--memory", help="MiB, or as in '2 GB'.")
@click.option("--env", "-e", multiple=True, metavar="NAME=VALUE", help="An environment variable; repeatable.")
@click.option("--port", "-p", "ports", multiple=True, type=int, help="A container port to publish; repeatable.")
@click.option(
    "--network", type=click.Choice(["awsvpc", "bridge", "host", "none"]), help="With --ec2. [default: bridge]"
)
@click.option("--cluster", default="default", show_default=True)
@click.option("--exec", "enable_exec", is_flag=True, help="Let `moor exec` run commands in it.")
@click.option("--detach", "-d", is_flag=True, help="Print the task's id and return.")
@click.option("--json", "as_json", is_flag=True, help="Print the task as ECS describes it, and return.")
def run(image: str, command: tuple[str, ...], **options: Any) -> None:
    """Run IMAGE as a task, with its output; ends with the container's exit code.

    It registers a task definition and calls RunTask, as you would.
    """
    api = Api(Home.chosen())
    with told_plainly():
        _ensure_cluster(api, options["cluster"])
        definition = api.ecs.register_task_definition(**_definition(api, image, command, options))["taskDefinition"]
        answer = api.ecs.run_task(**_placement(api, definition, options))
        if answer["failures"]:
            failure = answer["failures"][0]
            raise click.ClickException(f"not placed: {failure['reason']}. {failure.get('detail', '')}".strip())
        task = answer["tasks"][0]
        if options["as_json"]:
            show_json(task)
        elif options["detach"]:
            click.echo(_short(task["taskArn"]))
        else:
            sys.exit(_attend(api, task))


def _definition(api: Api, image: str, command: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    name = options["name"] or re.sub(
        r"[^A-Za-z0-9_-]", "-", image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    )
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "environment": [dict(zip(("name", "value"), _pair(text), strict=True)) for text in options["env"]],
        "portMappings": [{"containerPort": port} for port in options["ports"]],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": RUN_LOG_GROUP,
                "awslogs-region": api.settings.regions[0],
                "awslogs-stream-prefix": "run",
                "awslogs-create-group": "true",
            },
        },
    }
    if command:
        container["command"] = list(command)
    definition: dict[str, Any] = {"family": f"run-{name}"[:FAMILY_MAX_CHARS], "containerDefinitions": [container]}
    if options["ec2"]:
        definition["networkMode"] = options["network"] or "bridge"
        container["memory"] = INSTANCE_MEMORY_MIB
        if options["memory"]:
            del container["memory"]
            definition["memory"] = options["memory"]
        if options["cpu"]:
            definition["cpu"] = options["cpu"]
    else:
        if options["network"] not in (None, "awsvpc"):
            raise click.ClickException("Fargate tasks have an address of their own: --network goes with --ec2")
        definition |= {
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": options["cpu"] or FARGATE_CPU,
            "memory": options["memory"] or FARGATE_MEMORY,
            # Fargate asks for one wherever awslogs is used.
            "executionRoleArn": f"arn:aws:iam::{api.settings.account}:role/ecsTaskExecutionRole",
        }
    return definition


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.ClickException(f"--env {text}: it must read NAME=VALUE")
    return name, value


def _placement(api: Api, definition: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    request = {
        "cluster": options["cluster"],
        "taskDefinition": definition["taskDefinitionArn"],
        "launchType": "EC2" if options["ec2"] else "FARGATE",
        "startedBy": "moor-run",
        "enableExecuteCommand": options["enable_exec"],
    }
    if definition["networkMode"] == "awsvpc":
        subnets = api.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        chosen = subnets[:1] if options["ec2"] else subnets  # an instance lives in one zone, the first
        request["networkConfiguration"] = {"awsvpcConfiguration": {"subnets": [s["SubnetId"] for s in chosen]}}
    return request


def _ensure_cluster(api: Api, name: str) -> None:
    found = api.ecs.describe_clusters(clusters=[name])["clusters"]
    if not any(cluster["status"] == "ACTIVE" for cluster in found):
        api.ecs.create_cluster(clusterName=name)


def _attend(api: Api, task: dict[str, Any]) -> int:
    """Print the task's output until it has stopped; returns the exit code to end with."""
    reader = _LogReader(api, task)
    while True:
        task = api.ecs.describe_tasks(cluster=task["clusterArn"], tasks=[task["taskArn"]])["tasks"][0]
        stopped = task["lastStatus"] == "STOPPED"  # asked before reading: what came before the end is then complete
        for _, message in reader.fresh():
            click.echo(message)
        if stopped:
            break
        time.sleep(FOLLOW_PERIOD_S)
    code = task["containers"][0].get("exitCode")
    if code is None:
        why = task["containers"][0].get("reason") or task.get("stoppedReason") or "no reason was given"
        raise click.ClickException(f"the container did not run: {why}")
    return int(code)


class _LogReader:
    """New log events of a task's awslogs containers, each once."""

    def __init__(self, api: Api, task: dict[str, Any]) -> None:
        self._api = api
        described = api.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        task_id = _short(task["taskArn"])
        self._streams = {
            (
                log["options"]["awslogs-group"],
                f"{log['options']['awslogs-stream-prefix']}/{one['name']}/{task_id}",
            ): ""
            for one in described["containerDefinitions"]
            if (log := one.get("logConfiguration", {})).get("logDriver") == "awslogs"
            and "awslogs-stream-prefix" in log["options"]
        }

    @property
    def streams(self) -> list[tuple[str, str]]:
        """(group, stream) of each container that logs to CloudWatch Logs."""
        return list(self._streams)

    def fresh(self) -> Iterator[tuple[int, str]]:
        """(timestamp in ms, message) of what has come since the last call."""
        for (group, stream), token in self._streams.items():
            while True:
                asked = {"nextToken": token} if token else {}
                try:
                    answer = self._api.logs.get_log_events(
                        logGroupName=group, logStreamName=stream, startFromHead=True, **asked
                    )
                except self._api.logs.exceptions.ResourceNotFoundException:
                    break  # the agent makes the stream when the container starts
                for event in answer["events"]:
                    yield event["timestamp"], event["message"]
                if answer["nextForwardToken"] == token:
                    break
                token = self._streams[group, stream] = answer["nextForwardToken"]


@click.command()
@click.option("--all", "-a", "everything", is_flag=True, help="Also tasks that stopped within the last hour.")
@click.option("--cluster", help="Only this cluster. [default: every one]")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def ps(everything: bool, cluster: str | None, as_json: bool) -> None:
    """List tasks."""
    api = Api(Home.chosen())
    with told_plainly():
        tasks = list(_tasks(api, [cluster] if cluster else _clusters(api), everything))
    if as_json:
        show_json(tasks)
        return
    show_table(("task", "family", "launch", "status", "address", "exit", "created"), map(_row, tasks))


def _clusters(api: Api) -> list[str]:
    return [arn for answer in api.ecs.get_paginator("list_clusters").paginate() for arn in answer["clusterArns"]]


def _tasks(api: Api, clusters: list[str], everything: bool) -> Iterator[dict[str, Any]]:
    for cluster in clusters:
        for status in ("RUNNING", "STOPPED") if everything else ("RUNNING",):
            pages = api.ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status)
            for page in pages:
                if page["taskArns"]:
                    yield from api.ecs.describe_tasks(cluster=cluster, tasks=page["taskArns"])["tasks"]


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    details = [pair for attachment in task["attachments"] for pair in attachment["details"]]
    addresses = [pair["value"] for pair in details if pair["name"] == "privateIPv4Address"]
    bindings = [
        f"{one['bindIP']}:{one['hostPort']}" for box in task["containers"] for one in box.get("networkBindings", ())
    ]
    codes = [str(one["exitCode"]) for one in task["containers"] if "exitCode" in one]
    created: datetime = task["createdAt"]
    return (
        _short(task["taskArn"])[:SHOWN_ID_CHARS],
        task["taskDefinitionArn"].rpartition("/")[2],
        task["launchType"],
        task["lastStatus"],
        ", ".join(addresses or bindings) or "-",
        ", ".join(codes) or "-",
        created.astimezone().strftime("%H:%M:%S"),
    )


@click.command()
@click.argument("task")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has stopped.")
@click.option("--cluster", help="Where the task is. [default: looked for]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each line of output.")
def logs(task: str, follow: bool, cluster: str | None, as_json: bool) -> None:
    """Print what TASK (an id, its beginning, or an ARN) has written."""
    api = Api(Home.chosen())
    with told_plainly():
        found = find(api, task, cluster)
        reader = _LogReader(api, found)
        if not reader.streams:
            raise click.ClickException("none of the task's containers logs to CloudWatch Logs (awslogs)")
        while True:
            described = api.ecs.describe_tasks(cluster=found["clusterArn"], tasks=[found["taskArn"]])["tasks"]
            over = not described or described[0]["lastStatus"] == "STOPPED"
            for timestamp_ms, message in reader.fresh():
                if as_json:
                    click.echo(json.dumps({"timestamp": timestamp_ms, "message": message}))
                else:
                    click.echo(message)
            if over or not follow:
                return
            time.sleep(FOLLOW_PERIOD_S)


@click.command()
@click.argument("tasks", nargs=-1, required=True)
@click.option("--reason", default="Stopped with moor stop", show_default=True)
@click.option("--cluster", help="Where the tasks are. [default: looked for]")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def stop(tasks: tuple[str, ...], reason: str, cluster: str | None, as_json: bool) -> None:
    """Stop TASKS: a stop signal, and after the stop timeout the kill."""
    api = Api(Home.chosen())
    stopped = []
    with told_plainly():
        for name in tasks:
            found = find(api, name, cluster)
            answer = api.ecs.stop_task(cluster=found["clusterArn"], task=found["taskArn"], reason=reason)
            stopped.append(answer["task"])
            if not as_json:
                console.print(_short(found["taskArn"]))
    if as_json:
        show_json(stopped)


def find(api: Api, name: str, cluster: str | None) -> dict[str, Any]:
    """The one task that `name` means; refused where it means none or several."""
    wanted = _short(name)
    found = [
        task
        for task in _tasks(api, [cluster] if cluster else _clusters(api), everything=True)
        if _short(task["taskArn"]).startswith(wanted)
    ]
    if not found:
        raise click.ClickException(f"there is no task {name}")
    if len(found) > 1:
        raise click.ClickException(f"{name} is the beginning of {len(found)} tasks' ids; give more of it")
    return found[0]


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]
