"""Signed ECS requests per second: Moorage's server beside moto's, the same requests, the same number of objects.

One client process of our own (load.py) keeps 16 or 64 connections busy; it takes a part of one core from both alike.
Moorage verifies every signature, authorises, and answers only what is durable; moto does none of that.
"""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import image, moto_peer
from benchmarks.figures import Figure, Options, Series
from benchmarks.load import Job, Result
from benchmarks.moorage_self import PATIENCE_S, Installation
from benchmarks.moto_peer import Moto
from benchmarks.signing import Signer

TASKS: Final = 100
CLUSTER: Final = "default"
SILENT_CLUSTER: Final = "silent"
CONNECTIONS: Final = (16, 64)
# What an operator's scripts and consoles send: mostly one task, now and then many, now and then a list.
READS: Final = ("one", "one", "one", "one", "one", "many", "many", "list", "list", "list")


@dataclass(frozen=True)
class Contender:
    """A server with its tasks."""

    name: str
    signer: Signer
    tasks: Sequence[str]
    run_task: dict[str, Any]


def measure(options: Options) -> list[Figure]:
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="moorage-bench-")))
        contenders = [_moorage(folder, undo), _moto(undo.enter_context(moto_peer.running()))]
        mixes = {"DescribeTasks and ListTasks": _reads, "the same with 2 RunTask in 10": _reads_and_writes}
        figures: list[Figure] = []
        for title, mix in mixes.items():
            for connections in CONNECTIONS:
                found = {one.name: [Series(one.name) for _ in range(3)] for one in contenders}
                for _ in options.rounds(5, 2, f"API, {title}, {connections} connections"):
                    for one in contenders:
                        _add(found[one.name], _load(one, mix(one), connections, options.runs(4, 2)))
                figures.extend(_figures(f"{title}, {connections} connections", list(found.values())))
    return figures


def _figures(title: str, found: list[list[Series]]) -> Iterator[Figure]:
    notes = [f"{TASKS} tasks in both to begin with; the reads, in turn: {', '.join(READS)}"]
    yield Figure(f"API rate: {title}", "requests/s", "higher", [each[0] for each in found], notes)
    yield Figure(f"API latency p50: {title}", "ms", "lower", [each[1] for each in found])
    yield Figure(f"API latency p99: {title}", "ms", "lower", [each[2] for each in found])


def _add(found: list[Series], result: Result) -> None:
    for series, value in zip(found, (result.answers / result.seconds, result.p50_ms, result.p99_ms), strict=True):
        series.values.append(value)
        series.failures += result.failures
        series.note = series.note or result.first_failure


def _reads(one: Contender) -> list[bytes]:
    """Signed now: a signature is good for some minutes."""
    ready: dict[str, tuple[str, dict[str, Any]]] = {
        "one": ("DescribeTasks", {"cluster": CLUSTER, "tasks": [one.tasks[0]]}),
        "many": ("DescribeTasks", {"cluster": CLUSTER, "tasks": list(one.tasks[:10])}),
        "list": ("ListTasks", {"cluster": CLUSTER}),
    }
    return [one.signer.request(*ready[name]) for name in READS]


def _reads_and_writes(one: Contender) -> list[bytes]:
    return [*_reads(one)[:-2], *[one.signer.request("RunTask", one.run_task)] * 2]


def _load(one: Contender, requests: list[bytes], connections: int, seconds: float) -> Result:
    port = int(one.signer.host.rpartition(":")[2])
    ready = [base64.b64encode(request).decode() for request in requests]
    job = Job(port=port, connections=connections, seconds=seconds, requests=ready)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"], input=msgspec.json.encode(job), capture_output=True, check=True
    )
    result = msgspec.json.decode(done.stdout, type=Result)
    if not result.answers:
        raise RuntimeError(f"{one.name} gave no answer: {result.first_failure}")
    return result


def _moorage(folder: Path, undo: contextlib.ExitStack) -> Contender:
    """An installation with real tasks, and instances that take tasks and run none of them."""
    archive = image.archive(image.root(folder / "root"), folder / "image.tar")
    installation = Installation(folder / "home")
    undo.callback(installation.down)
    installation.up("--fargate-share", "0.2")
    installation.moor("image", "import", str(archive), image.NAME)
    definition = installation.define("api", ["/bin/sleep", "3600"], mode="none", memory=16)
    caller = installation.caller()
    tasks: list[str] = []
    while len(tasks) < TASKS:
        answer = caller.call("RunTask", {"taskDefinition": definition, "launchType": "EC2", "count": 10})
        assert not answer["failures"], answer["failures"]
        tasks += [task["taskArn"] for task in answer["tasks"]]
    deadline_s = time.monotonic() + PATIENCE_S
    while {one["lastStatus"] for one in caller.call("DescribeTasks", {"tasks": tasks})["tasks"]} != {"RUNNING"}:
        assert time.monotonic() < deadline_s, "the tasks do not run"
        time.sleep(0.05)
    caller.call("CreateCluster", {"clusterName": SILENT_CLUSTER})
    _silent_instances(installation, undo)
    run_task = {"cluster": SILENT_CLUSTER, "taskDefinition": definition, "launchType": "EC2"}
    return Contender("Moorage", installation.signer(), tasks, run_task)


def _silent_instances(installation: Installation, undo: contextlib.ExitStack) -> None:
    key = installation.key()
    words = [f"http://127.0.0.1:{installation.port}", key.id, key.secret, SILENT_CLUSTER]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.silent_instances", *words], stdout=subprocess.PIPE)
    undo.callback(process.wait)
    undo.callback(process.terminate)
    assert process.stdout is not None
    assert process.stdout.readline() == b"connected\n", "the silent instances could not connect"


def _moto(moto: Moto) -> Contender:
    """moto with as many tasks of the same definition; called Fargate's, because its instances have room for few."""
    ecs = moto.client("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.create_cluster(clusterName=SILENT_CLUSTER)
    container = {"name": "main", "image": image.NAME, "command": ["/bin/sleep", "3600"], "memory": 16}
    ecs.register_task_definition(family="api", networkMode="none", containerDefinitions=[container])
    run_task = {"taskDefinition": "api:1", "launchType": "FARGATE"}
    tasks: list[str] = []
    while len(tasks) < TASKS:
        tasks += [task["taskArn"] for task in ecs.run_task(cluster=CLUSTER, **run_task, count=10)["tasks"]]
    return Contender("moto", moto.signer(), tasks, run_task | {"cluster": SILENT_CLUSTER})
