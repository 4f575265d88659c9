"""From the call to the container's first sign of life, on an idle node, the image warm: beside Docker and bare crun.

Every contender gives the container its own network namespace with an address, and a memory limit. Nothing of a launch
is made beforehand, except for bare crun's network namespace.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import crun_peer, docker_peer, image
from benchmarks.beacon import Beacon
from benchmarks.crun_peer import Crun
from benchmarks.docker_peer import Docker
from benchmarks.figures import Figure, Options, Series
from benchmarks.moorage_self import Installation
from benchmarks.signing import Caller

MEMORY_MIB: Final = 64
# Enough for what the last container left to be cleared away, so that each launch meets an idle node.
SETTLE_S: Final = 0.3
HEARD_WITHIN_S: Final = 15.0


@dataclass(frozen=True)
class Contender:
    """One way to launch a container."""

    name: str
    gateway: str
    launch: Callable[[], Callable[[], None]]  # returns what removes it again
    note: str = ""


def measure(options: Options) -> list[Figure]:
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="moorage-bench-")))
        beacon = Beacon()
        undo.callback(beacon.close)
        contenders = list(_contenders(folder, beacon, undo))
        series = [Series(one.name, note=one.note) for one in contenders]
        for contender in contenders:  # once uncounted: caches, and what each sets up at its first container
            _run(contender, beacon, Series(""))
        for _ in options.rounds(20, 5, "launch latency"):
            for contender, found in zip(contenders, series, strict=True):
                _run(contender, beacon, found)
    note = "first instruction: the first packet of the container's only process, stamped by the host's kernel"
    return [Figure("launch latency: the call to the first instruction", "ms", "lower", series, [note])]


def _contenders(folder: Path, beacon: Beacon, undo: contextlib.ExitStack) -> Iterator[Contender]:
    root = image.root(folder / "root")
    archive = image.archive(root, folder / "image.tar")
    installation = Installation(folder / "home")
    undo.callback(installation.down)
    installation.up()
    installation.moor("image", "import", str(archive), image.NAME)
    yield from _moorage(installation, beacon)
    docker = undo.enter_context(docker_peer.running(folder / "docker"))
    docker.load(archive)
    yield from _docker(docker, beacon)
    command = ["/bin/nc", crun_peer.GATEWAY, str(beacon.port)]
    crun = undo.enter_context(crun_peer.prepared(folder / "crun", root, command, MEMORY_MIB << 20))
    yield Contender(
        "crun run", crun.gateway, lambda: _crun(crun), "namespace, link, cgroup made beforehand; no platform"
    )


def _moorage(installation: Installation, beacon: Beacon) -> Iterator[Contender]:
    subnet, gateway = installation.subnet()
    bridge = installation.bridge_gateway()
    network = {"awsvpcConfiguration": {"subnets": [subnet]}}
    caller = installation.caller()
    for name, mode, fargate, address in (
        ("Moorage, instance, awsvpc", "awsvpc", False, gateway),
        ("Moorage, instance, bridge", "bridge", False, bridge),
        ("Moorage, Fargate", "awsvpc", True, gateway),
    ):
        command = ["/bin/nc", address, str(beacon.port)]
        definition = installation.define(
            f"latency-{mode}-{fargate}", command, mode=mode, memory=MEMORY_MIB, fargate=fargate
        )
        request: dict[str, Any] = {"taskDefinition": definition, "launchType": "FARGATE" if fargate else "EC2"}
        if mode == "awsvpc":
            request["networkConfiguration"] = network
        note = "and a user namespace, 1 vCPU" if fargate else ""
        yield Contender(name, address, _task(installation, caller, request), note)


def _task(installation: Installation, caller: Caller, request: dict[str, Any]) -> Callable[[], Callable[[], None]]:
    def launch() -> Callable[[], None]:
        answer = caller.call("RunTask", request)
        if answer["failures"]:
            raise RuntimeError(f"not placed: {answer['failures']}")
        task = answer["tasks"][0]["taskArn"]

        def remove() -> None:
            caller.call("StopTask", {"task": task})
            installation.until_empty()

        return remove

    return launch


def _docker(docker: Docker, beacon: Beacon) -> Iterator[Contender]:
    api = docker.connect()
    command = ["/bin/nc", docker.gateway, str(beacon.port)]

    def by_command() -> Callable[[], None]:
        container = docker.cli("run", "--detach", f"--memory={MEMORY_MIB}m", image.NAME, *command).strip()
        return lambda: docker.remove([container])

    def by_api() -> Callable[[], None]:
        container = api.run(command, MEMORY_MIB << 20)
        return lambda: docker.remove([container])

    yield Contender("docker run", docker.gateway, by_command, "--detach; runc, Docker's default")
    yield Contender("Docker's API", docker.gateway, by_api, "create and start, without the command's own time")


def _crun(crun: Crun) -> Callable[[], None]:
    crun.start()
    return crun.remove


def _run(contender: Contender, beacon: Beacon, series: Series) -> None:
    """Launch once, wait to hear it, remove it."""
    time.sleep(SETTLE_S)
    with beacon.answering(contender.gateway):
        began_ns = time.time_ns()
        remove = contender.launch()
        signs = beacon.wait(1, HEARD_WITHIN_S)
        if signs:
            series.values.append((signs[0].at_ns - began_ns) / 1e6)
        else:
            series.failures += 1
        remove()
