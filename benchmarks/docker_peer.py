"""Docker as a peer: a dockerd of our own, with everything of it in one directory, on a bridge of our own.

It gets no iptables rules, no masquerading and no userland proxy, all of which would only slow it down.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import image
from benchmarks.cgroups import remove_group

BRIDGE: Final = "mbdocker0"
GATEWAY: Final = "10.229.0.1"
CGROUP: Final = "moorage-bench-docker"
PATIENCE_S: Final = 60.0
# The command that came with Debian's dockerd: another version's would first ask which protocol to speak.
_DEBIAN: Final = Path("/usr/bin/docker")
COMMAND: Final = str(_DEBIAN) if _DEBIAN.exists() else "docker"


class Docker:
    """A running dockerd."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.socket = folder / "docker.sock"
        self.process = process
        self.gateway = GATEWAY

    def command(self, *words: str) -> list[str]:
        return [COMMAND, "--host", f"unix://{self.socket}", *words]

    def cli(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(words)}: {done.stderr}")
        return done.stdout

    def connect(self) -> DockerApi:
        return DockerApi(self.socket)

    def load(self, archive: Path) -> None:
        self.cli("load", "--input", str(archive))

    def containers(self) -> list[str]:
        return self.cli("ps", "--all", "--quiet", "--no-trunc").split()

    def remove(self, containers: Sequence[str]) -> None:
        if containers:
            self.cli("rm", "--force", *containers)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=PATIENCE_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class DockerApi:
    """The Engine API without its command: one connection that is kept."""

    def __init__(self, path: Path) -> None:
        self._connection = _UnixConnection(path)

    def run(self, command: Sequence[str], memory_bytes: int) -> str:
        """Create and start; the container's id."""
        body = {"Image": image.NAME, "Cmd": list(command), "HostConfig": {"Memory": memory_bytes}}
        created: str = self.call("POST", "/containers/create", body)["Id"]
        self.call("POST", f"/containers/{created}/start")
        return created

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"docker {path}: {answer.status} {text.decode(errors='replace')}")
        found: dict[str, Any] = json.loads(text) if text.startswith(b"{") else {}
        return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Docker]:
    """dockerd for as long as the block runs; afterwards nothing of it is left."""
    if shutil.which("dockerd") is None:
        raise FileNotFoundError("dockerd is not installed: scripts/packages bench")
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        undo.callback(remove_group, CGROUP)
        _ip("link", "add", BRIDGE, "type", "bridge")
        undo.callback(_ip, "link", "delete", BRIDGE)
        _ip("address", "add", f"{GATEWAY}/16", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        log = undo.enter_context(open(folder / "dockerd.log", "wb"))
        process = subprocess.Popen(_dockerd(folder), stdout=log, stderr=log, start_new_session=True)
        undo.callback(_end, process, folder)
        docker = Docker(folder, process)
        wait_for_answer(docker)
        undo.callback(lambda: docker.remove(docker.containers()))
        yield docker


def wait_for_answer(docker: Docker) -> None:
    """Return once the API has given its first valid answer."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            docker.connect().call("GET", "/info")
            return
        except OSError:
            if docker.process.poll() is not None or time.monotonic() > deadline_s:
                log = docker.socket.with_name("dockerd.log").read_text(errors="replace")
                raise RuntimeError(f"dockerd does not answer: {log[-2000:]}") from None
            time.sleep(0.002)


def _dockerd(folder: Path) -> list[str]:
    config = folder / "daemon.json"
    config.write_text("{}")
    return [
        "dockerd",
        f"--config-file={config}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/dockerd.pid",
        f"--host=unix://{folder}/docker.sock",
        f"--bridge={BRIDGE}",
        f"--cgroup-parent=/{CGROUP}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-masq=false",
        "--ip-forward=false",
        "--userland-proxy=false",
        "--log-level=error",
    ]


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """dockerd ends its containerd; what is mounted below its directories is then taken away."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def children(pid: int) -> list[int]:
    """A process and all below it: dockerd with its containerd."""
    found = [pid]
    for parent in found:
        for task in os.listdir(f"/proc/{parent}/task"):
            text = Path(f"/proc/{parent}/task/{task}/children").read_text()
            found.extend(int(word) for word in text.split())
    return found


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
