"""How fast many containers come up and go: from the first call until the last of them has shown its sign of life.

Each has its own network namespace, interface, address and memory limit. Docker's command is used one by one or eight
at a time, whichever is quicker here; and its API by eight connections, without what the command itself costs.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import docker_peer, image
from benchmarks.beacon import Beacon
from benchmarks.docker_peer import Docker
from benchmarks.figures import Figure, Options, Series
from benchmarks.moorage_self import Installation
from benchmarks.signing import Caller

MEMORY_MIB: Final = 16
PARALLEL: Final = 8
PER_CALL: Final = 10  # RunTask's own bound
WITHIN_S: Final = 300.0
SETTLE_S: Final = 2.0


@dataclass(frozen=True)
class Contender:
    """One way to launch many."""

    name: str
    gateway: str
    launch: Callable[[int], None]  # returns when all are accepted
    running: Callable[[int], None]  # returns when the platform itself says that all of them run
    remove: Callable[[], None]  # returns when none is left


@dataclass
class Found:
    """What one contender's runs gave."""

    started: Series
    running: Series
    removed: Series


def measure(options: Options) -> list[Figure]:
    count = options.runs(200, 40)
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="moorage-bench-")))
        beacon = Beacon()
        undo.callback(beacon.close)
        ours, *commands, api = _contenders(folder, beacon, undo)
        for contender in (ours, api):  # once uncounted: what each sets up at its first container
            _run(contender, beacon, PER_CALL, _found(contender))
        best, trial = _quickest(commands, beacon, options.runs(60, 20))
        compared = (ours, best, api)
        found = {one.name: _found(one) for one in compared}
        for _ in options.rounds(5, 2, "launch rate"):
            for contender in compared:
                _run(contender, beacon, count, found[contender.name])
    notes = [f"of the two ways to use Docker's command, the better; tried with fewer: {trial}"]
    title = f"launch rate: {count} containers"
    return [
        Figure(
            f"{title}, the last one's first instruction", "1/s", "higher", [f.started for f in found.values()], notes
        ),
        Figure(f"{title}, until the platform says so", "1/s", "higher", [f.running for f in found.values()]),
        Figure(f"{title} removed, every trace", "1/s", "higher", [f.removed for f in found.values()]),
    ]


def _found(contender: Contender) -> Found:
    return Found(Series(contender.name), Series(contender.name), Series(contender.name))


def _quickest(contenders: list[Contender], beacon: Beacon, count: int) -> tuple[Contender, str]:
    rates = []
    for contender in contenders:
        found = _found(contender)
        _run(contender, beacon, count, found)
        rates.append(found.started.median or 0.0)
    told = ", ".join(f"{one.name} {rate:.1f}/s" for one, rate in zip(contenders, rates, strict=True))
    return contenders[rates.index(max(rates))], told


def _run(contender: Contender, beacon: Beacon, count: int, found: Found) -> None:
    """Launch `count`, hear them all, remove them all."""
    time.sleep(SETTLE_S)
    with beacon.answering(contender.gateway):
        began_ns = time.time_ns()
        contender.launch(count)
        signs = beacon.wait(count, WITHIN_S)
        contender.running(len(signs))
        running_s = (time.time_ns() - began_ns) / 1e9
        removing_s = time.monotonic()
        contender.remove()
        removing_s = time.monotonic() - removing_s
    found.started.failures += count - len(signs)
    if len(signs) == count:
        found.started.values.append(count / (max(sign.at_ns for sign in signs) - began_ns) * 1e9)
        found.running.values.append(count / running_s)
        found.removed.values.append(count / removing_s)
        rates = found.started.values[-1], found.running.values[-1], found.removed.values[-1]
        told = "started {:.1f}/s, said to run {:.1f}/s, removed {:.1f}/s".format(*rates)
        print(f"  {contender.name}: {told}", file=sys.stderr, flush=True)


def _contenders(folder: Path, beacon: Beacon, undo: contextlib.ExitStack) -> Iterator[Contender]:
    archive = image.archive(image.root(folder / "root"), folder / "image.tar")
    installation = Installation(folder / "home")
    undo.callback(installation.down)
    installation.up("--fargate-share", "0.2")
    installation.moor("image", "import", str(archive), image.NAME)
    yield _moorage(installation, beacon)
    docker = undo.enter_context(docker_peer.running(folder / "docker"))
    docker.load(archive)
    yield from _docker(docker, beacon)


def _moorage(installation: Installation, beacon: Beacon) -> Contender:
    subnet, gateway = installation.subnet()
    caller = installation.caller()
    command = ["/bin/nc", gateway, str(beacon.port)]
    request: dict[str, Any] = {
        "taskDefinition": installation.define("rate", command, mode="awsvpc", memory=MEMORY_MIB),
        "launchType": "EC2",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}},
    }

    def launch(count: int) -> None:
        for first in range(0, count, PER_CALL):
            answer = caller.call("RunTask", request | {"count": min(PER_CALL, count - first)})
            if answer["failures"]:
                raise RuntimeError(f"not placed: {answer['failures']}")

    def running(count: int) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while sum(task["lastStatus"] == "RUNNING" for task in _tasks(caller, "RUNNING")) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not RUNNING within {WITHIN_S:.0f} s")
            time.sleep(0.01)

    def remove() -> None:
        for task in _tasks(caller, "RUNNING"):
            caller.call("StopTask", {"task": task["taskArn"]})
        while any(task["lastStatus"] != "STOPPED" for task in _tasks(caller, "STOPPED")):
            time.sleep(0.02)

    return Contender("Moorage, instance, awsvpc", gateway, launch, running, remove)


def _tasks(caller: Caller, desired: str) -> list[dict[str, Any]]:
    """All tasks with that desired status, as DescribeTasks tells them."""
    found: list[dict[str, Any]] = []
    request: dict[str, Any] = {"desiredStatus": desired}
    while True:
        page = caller.call("ListTasks", request)
        if page["taskArns"]:
            found.extend(caller.call("DescribeTasks", {"tasks": page["taskArns"]})["tasks"])
        if not page.get("nextToken"):
            return found
        request["nextToken"] = page["nextToken"]


def _docker(docker: Docker, beacon: Beacon) -> Iterator[Contender]:
    command = ["/bin/nc", docker.gateway, str(beacon.port)]

    def one_by_command(_: int) -> None:
        docker.cli("run", "--detach", f"--memory={MEMORY_MIB}m", image.NAME, *command)

    def one_by_one(count: int) -> None:
        for number in range(count):
            one_by_command(number)

    def commands(count: int) -> None:
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(one_by_command, range(count)))

    def api(count: int) -> None:
        def some(share: int) -> None:
            connection = docker.connect()
            for _ in range(share):
                connection.run(command, MEMORY_MIB << 20)

        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(some, [len(range(first, count, PARALLEL)) for first in range(PARALLEL)]))

    def running(count: int) -> None:
        assert len(docker.cli("ps", "--quiet").split()) >= count

    def remove() -> None:
        ids = docker.containers()
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda first: docker.remove(ids[first::PARALLEL]), range(PARALLEL)))

    for name, launch in (
        ("docker run, one by one", one_by_one),
        (f"docker run, {PARALLEL} at a time", commands),
        (f"Docker's API, {PARALLEL} connections", api),
    ):
        yield Contender(name, docker.gateway, launch, running, remove)
