"""Moorage as it is measured: an installation of its own, started by `moor`, used through its public API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]  # it ships no types
from botocore.config import Config

from benchmarks import image
from benchmarks.signing import Caller, Key, Signer

BIN: Final = Path(sys.executable).parent
REGION: Final = "us-east-1"
# Starts and stops take a second; this is for a machine that others use as well.
PATIENCE_S: Final = 120.0


class Installation:
    """One installation; `down` leaves nothing of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()

    def command(self, *words: str) -> list[str]:
        return [str(BIN / "moor"), *words]

    @property
    def environment(self) -> dict[str, str]:
        """As a user's; with Python's compiled modules kept, which a developer may have turned off."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return kept | {"MOORAGE_HOME": str(self.home), "COLUMNS": "200"}

    def moor(self, *words: str) -> None:
        done = subprocess.run(self.command(*words), env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"moor {' '.join(words)}: {done.stdout}{done.stderr}")

    def up(self, *words: str) -> None:
        self.moor("up", "--detach", "--listen", f"127.0.0.1:{self.port}", *words)

    def down(self) -> None:
        self.moor("down", "--purge")

    def key(self) -> Key:
        """The root access key."""
        lines = (self.home / "credentials").read_text().splitlines()
        values = dict(line.split(" = ") for line in lines if " = " in line)
        return Key(values["aws_access_key_id"], values["aws_secret_access_key"])

    def signer(self) -> Signer:
        return Signer(self.key(), REGION, "ecs", f"127.0.0.1:{self.port}")

    def caller(self) -> Caller:
        return Caller(self.signer())

    def client(self, service: str) -> Any:
        """A boto3 client: for preparing, never inside what is timed."""
        key = self.key()
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "installation.json").read_text())
        return found

    def subnet(self) -> tuple[str, str]:
        """The default subnet of the container instance's zone, and its gateway: the first address of its range."""
        zone = {"Name": "availability-zone", "Values": [f"{REGION}a"]}
        subnet = self.client("ec2").describe_subnets(Filters=[zone])["Subnets"][0]
        network, _, last = subnet["CidrBlock"].partition("/")[0].rpartition(".")
        return subnet["SubnetId"], f"{network}.{int(last) + 1}"

    def bridge_gateway(self) -> str:
        """The gateway of the container instance's bridge-mode tasks."""
        node = next(node for node in self.settings()["nodes"] if not node["fleet"])
        network, _, last = node["bridge_cidr"].partition("/")[0].rpartition(".")
        return f"{network}.{int(last) + 1}"

    def pids(self) -> dict[str, int]:
        """Of the programs that run."""
        return {path.stem: int(path.read_text()) for path in (self.home / "run").glob("*.pid")}

    def define(self, family: str, command: list[str], *, mode: str, memory: int, fargate: bool = False) -> str:
        """Register a definition of one container; its name and revision."""
        container: dict[str, Any] = {"name": "main", "image": image.NAME, "command": command, "memory": memory}
        task: dict[str, Any] = {"family": family, "networkMode": mode, "containerDefinitions": [container]}
        if fargate:
            # A whole cpu: with less, the quota of the task would throttle its own start.
            task |= {"requiresCompatibilities": ["FARGATE"], "cpu": "1024", "memory": "2048"}
        answer = self.client("ecs").register_task_definition(**task)["taskDefinition"]
        return f"{answer['family']}:{answer['revision']}"

    def until_empty(self) -> None:
        """Return once no task is anything but stopped."""
        caller = self.caller()
        deadline_s = time.monotonic() + PATIENCE_S
        while arns := caller.call("ListTasks", {"desiredStatus": "STOPPED"})["taskArns"]:
            tasks = caller.call("DescribeTasks", {"tasks": arns})["tasks"]
            if all(task["lastStatus"] == "STOPPED" for task in tasks):
                break
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"tasks still live {PATIENCE_S:.0f} s after they were stopped")
            time.sleep(0.01)
        caller.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
