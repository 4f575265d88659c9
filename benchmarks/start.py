"""Start and footprint: from the command to the first valid answer, and what the programs take when nothing happens.

Docker's programs beside ours. The first start makes keys, state and address ranges; the next one finds them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks import docker_peer, moto_peer
from benchmarks.figures import Figure, Options, Series
from benchmarks.moorage_self import PATIENCE_S, Installation
from benchmarks.signing import Refused

IDLE_BEFORE_S: Final = 3.0  # until what a start leaves to do is done
POLL_S: Final = 0.002


def measure(options: Options) -> list[Figure]:
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="moorage-bench-")))
        starts = _starts(folder, options.rounds(7, 2, "start"))
        watched_s = float(options.runs(10, 3))
        return [starts, *_footprint(folder, watched_s, options.runs(5, 1))]


def _starts(folder: Path, rounds: Iterable[int]) -> Figure:
    first = Series("Moorage, first answer", note="first start: nothing was there")
    again = Series("Moorage, first answer, started again", note="the installation was there")
    ready = Series("Moorage, tasks can be placed", note="`moor up --detach` has returned")
    docker = Series("dockerd, first answer", note="with its containerd")
    moto = Series("moto_server, first answer", note="no containers")
    for number in rounds:
        home = folder / f"home-{number}"
        installation = Installation(home)
        for series in (first, again):
            answered_s, ready_s = _start(installation)
            series.values.append(answered_s)
            if series is first:
                ready.values.append(ready_s)
                _stop_programs(installation)
        installation.down()
        began_s = time.perf_counter()
        with docker_peer.running(folder / f"docker-{number}"):
            docker.values.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        with moto_peer.running() as server:
            server.client("ecs").list_clusters()
            moto.values.append(time.perf_counter() - began_s)
    return Figure("start: the command to the first valid answer", "s", "lower", [first, again, ready, docker, moto])


def _start(installation: Installation) -> tuple[float, float]:
    """Seconds until a signed request was answered, and until `moor up` said that all is ready."""
    began_s = time.perf_counter()
    words = installation.command("up", "--detach", "--listen", f"127.0.0.1:{installation.port}")
    with subprocess.Popen(
        words, env=installation.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        answered_s = _until_answer(installation) - began_s
        if process.wait(PATIENCE_S) != 0:
            raise RuntimeError(f"`{' '.join(words)}` failed")
    return answered_s, time.perf_counter() - began_s


def _until_answer(installation: Installation) -> float:
    """The moment of the first valid answer to a signed request."""
    deadline_s = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline_s:
        try:
            caller = installation.caller()
            caller.call("ListClusters", {})
            caller.close()
            return time.perf_counter()
        except (OSError, KeyError, Refused):  # no key yet, nobody listens yet
            time.sleep(POLL_S)
    raise TimeoutError(f"no answer within {PATIENCE_S:.0f} s")


def _stop_programs(installation: Installation) -> None:
    """SIGTERM: the programs end, the installation stays."""
    pid = installation.pids()["supervisor"]
    os.kill(pid, 15)
    deadline_s = time.monotonic() + PATIENCE_S
    while installation.pids() and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


def _footprint(folder: Path, watched_s: float, runs: int) -> list[Figure]:
    """Memory and cpu of every program, idle, ours and Docker's at the same time."""
    memory: dict[str, Series] = {}
    resident: dict[str, Series] = {}
    cpu: dict[str, Series] = {}
    installation = Installation(folder / "home")
    with contextlib.ExitStack() as undo:
        undo.callback(installation.down)
        installation.up()
        docker = undo.enter_context(docker_peer.running(folder / "docker"))
        time.sleep(IDLE_BEFORE_S)
        programs = {f"Moorage, {name}": [pid] for name, pid in sorted(installation.pids().items())}
        groups = {"Moorage, all": [pid for pids in programs.values() for pid in pids]} | programs
        groups["dockerd and containerd"] = docker_peer.children(docker.process.pid)
        for _ in range(runs):
            before = {name: _cpu_s(pids) for name, pids in groups.items()}
            time.sleep(watched_s)
            for name, pids in groups.items():
                used = (_cpu_s(pids) - before[name]) / watched_s * 100
                for found, value in (
                    (cpu, used),
                    (memory, _memory_mib(pids, "Pss")),
                    (resident, _memory_mib(pids, "Rss")),
                ):
                    part = name in programs
                    found.setdefault(name, Series(name, part=part)).values.append(value)
    return [
        Figure("idle memory, shared pages divided (PSS)", "MiB", "lower", list(memory.values())),
        Figure("idle memory, shared pages counted for each (RSS)", "MiB", "lower", list(resident.values())),
        Figure(f"idle cpu over {watched_s:.0f} s, of one core", "%", "lower", list(cpu.values())),
    ]


def _cpu_s(pids: Iterable[int]) -> float:
    """Time on a core of the processes' threads; an idle process uses less than the clock ticks that `stat` counts."""
    nanoseconds = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def _memory_mib(pids: Iterable[int], kind: str) -> float:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                total += int(line.split()[1])
    return total / 1024
