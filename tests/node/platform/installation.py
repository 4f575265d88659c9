"""A real installation for tests: started by `moor`, used through boto3, as by anyone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

import boto3  # type: ignore[import-untyped]  # it ships no types
from botocore.config import Config

from tests.node.platform.traces import traces

T = TypeVar("T")
PATIENCE_S = 30.0
BIN = Path(sys.executable).parent
IMAGE = "test/busybox:1"
LOG_GROUP = "/test/output"
FOREVER = ["sh", "-c", "trap 'exit 143' TERM; sleep 100000 & wait"]


def until(look: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """What `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(0.03)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Installation:
    """One installation in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.region = "us-east-1"
        self._clients: dict[str, Any] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What `moor` needs to mean this installation."""
        return os.environ | {"MOORAGE_HOME": str(self.home)}

    def moor(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command on this installation."""
        done = subprocess.run(
            [BIN / "moor", *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"moor {' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def up(self, *words: str) -> None:
        """Start it, detached."""
        self.moor("up", "--detach", *words)

    def down(self) -> None:
        """End it, data and all; nothing of it may be left."""
        if not (self.home / "installation.json").exists():
            return
        settings = self.settings
        self.moor("down", "--purge")
        left = traces(self.home, settings)
        assert not left, left
        assert not self.home.exists()

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "installation.json").read_text())
        return found

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.settings['port']}"

    def key(self) -> tuple[str, str]:
        """The root access key's id and secret."""
        lines = (self.home / "credentials").read_text().splitlines()
        values = dict(line.split(" = ") for line in lines if " = " in line)
        return values["aws_access_key_id"], values["aws_secret_access_key"]

    def client(self, service: str) -> Any:
        """A boto3 client with the root key, which tries once."""
        if service not in self._clients:
            key, secret = self.key()
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    @property
    def ecs(self) -> Any:
        return self.client("ecs")

    def pid(self, program: str) -> int:
        """Of the server or of a node's agent."""
        return int((self.home / "run" / f"{program}.pid").read_text())

    def kill(self, *programs: str) -> None:
        """End programs as a power cut would: the server, a node's agent, the supervisor."""
        doomed = [self.pid(program) for program in programs]
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)

    def until_ready(self, *, other_than: dict[str, int]) -> None:
        """Wait until each of these programs runs as another process and says that it is ready."""

        def look() -> bool:
            try:
                fresh = all(self.pid(name) != pid for name, pid in other_than.items())
            except FileNotFoundError:
                return False
            return fresh and all((self.home / "run" / f"{name}.ready").exists() for name in other_than)

        until(look, f"{', '.join(other_than)} ready again")

    def task(self, arn: str, cluster: str = "default") -> dict[str, Any]:
        """The task as ECS describes it."""
        found: dict[str, Any] = self.ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0]
        return found

    def until_status(self, arn: str, status: str, cluster: str = "default") -> dict[str, Any]:
        """The task once it has that status; fails at once where it stopped instead."""
        ecs = self.ecs

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0]
            if found["lastStatus"] == "STOPPED" != status:
                raise AssertionError(f"stopped: {found.get('stoppedReason')} {found['containers']}")
            return found if found["lastStatus"] == status else None

        return until(look, f"{arn} {status}")

    def run(self, command: list[str], **how: Any) -> dict[str, Any]:
        """Run busybox with `command`: `fargate=True`, or a definition's members; returns the task as accepted."""
        ecs = self.ecs
        definition = self.define(command, **how)
        request: dict[str, Any] = {
            "taskDefinition": definition["taskDefinitionArn"],
            "launchType": "FARGATE" if how.get("fargate") else "EC2",
        }
        if definition["networkMode"] == "awsvpc":
            request["networkConfiguration"] = self.network()
        answer = ecs.run_task(**request | how.get("request", {}))
        assert not answer["failures"], answer["failures"]
        task: dict[str, Any] = answer["tasks"][0]
        return task

    def define(self, command: list[str], **how: Any) -> dict[str, Any]:
        """Register a definition of one container `main`, with the members of `task` and `container` laid over it."""
        container: dict[str, Any] = {
            "name": "main",
            "image": IMAGE,
            "command": command,
            "memory": 64,
            "stopTimeout": 2,
        }
        task: dict[str, Any] = {"family": "test", "networkMode": how.get("network", "bridge")}
        if how.get("fargate"):
            task |= {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        if how.get("logs"):
            options = {
                "awslogs-group": how["logs"],
                "awslogs-region": self.region,
                "awslogs-stream-prefix": "t",
                "awslogs-create-group": "true",
            }
            container["logConfiguration"] = {"logDriver": "awslogs", "options": options}
            task["executionRoleArn"] = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"
        task |= how.get("task", {})
        containers = [container | how.get("container", {}), *how.get("others", [])]
        answer = self.ecs.register_task_definition(**task, containerDefinitions=containers)
        found: dict[str, Any] = answer["taskDefinition"]
        return found

    def network(self, zone: str = "a") -> dict[str, Any]:
        """networkConfiguration in the default subnet of a zone."""
        subnets = self.client("ec2").describe_subnets()["Subnets"]
        chosen = [one["SubnetId"] for one in subnets if one["AvailabilityZone"].endswith(zone)]
        return {"awsvpcConfiguration": {"subnets": chosen}}

    def ended(self, command: list[str], **how: Any) -> dict[str, Any]:
        """Run busybox with `command` to its end; the stopped task."""
        return self.until_status(self.run(command, **how)["taskArn"], "STOPPED")

    def output(self, command: list[str], **how: Any) -> list[str]:
        """Run busybox with `command` to its end; what it wrote, from CloudWatch Logs."""
        task = self.ended(command, logs=LOG_GROUP, **how)
        assert "exitCode" in task["containers"][0], (task.get("stoppedReason"), task["containers"])
        return self.log_lines(LOG_GROUP, task)

    def running(self, command: list[str], **how: Any) -> dict[str, Any]:
        """Run busybox with `command`; the task, RUNNING."""
        return self.until_status(self.run(command, **how)["taskArn"], "RUNNING")

    def stopped(self, task: dict[str, Any]) -> dict[str, Any]:
        """Stop the task; it, STOPPED."""
        self.ecs.stop_task(task=task["taskArn"])
        return self.until_status(task["taskArn"], "STOPPED")

    def log_lines(self, group: str, task: dict[str, Any], container: str = "main") -> list[str]:
        """What a container has written to CloudWatch Logs; nothing while its stream is not there."""
        logs = self.client("logs")
        stream = f"t/{container}/{task['taskArn'].rpartition('/')[2]}"
        try:
            events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]


def address_of(task: dict[str, Any]) -> str:
    """The private address that DescribeTasks tells."""
    details = {pair["name"]: pair["value"] for pair in task["attachments"][0]["details"]}
    return details["privateIPv4Address"]  # type: ignore[no-any-return]  # boto3 is untyped


def short(task: dict[str, Any]) -> str:
    """The task's id."""
    arn: str = task["taskArn"]
    return arn.rpartition("/")[2]


def container_of(task: dict[str, Any], name: str = "main") -> dict[str, Any]:
    """One container of a task."""
    found: dict[str, Any] = next(one for one in task["containers"] if one["name"] == name)
    return found


def fetched(host: str, port: int, path: str = "/") -> bytes | None:
    """What an HTTP server answers; None while nothing listens there."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=2) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, HTTPException):
        return None


def served(host: str, port: int) -> bool:
    """Whether the tests' web server answers there, as soon as it does."""
    return b"root" in until(lambda: fetched(host, port, "/passwd"), f"{host}:{port} answers")


def fetch(place: str, path: str = "/passwd", patience_s: int = 3) -> list[str]:
    """A container's command that asks a web server at "HOST PORT". A static wget crashes where glibc's modules for
    resolving names are not installed."""
    return ["sh", "-c", f"printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' | nc -w {patience_s} {place}"]
