"""What the driver tests share: a node on this host, an image of busybox, and looking at what is left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moorage.agent.drivers.logfile import LogReader
from moorage.agent.drivers.node import Node, NodeConfig
from moorage.agent.spec import (
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    Exit,
    Interface,
    Isolation,
    NetworkMode,
    PortBinding,
    RootImage,
    Sandbox,
    SandboxId,
    SandboxSpec,
)

DEADLINE_S = 15.0
VPC = "10.213.0.0/16"
PRIVATE = "10.214.0.0/16"


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Until the condition holds; a test that waits in vain says for what."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_S:.0f} s in vain for {what}")
        time.sleep(0.01)


class Host:
    """A node and the short words in which tests speak to it."""

    def __init__(self, config: NodeConfig, image: RootImage) -> None:
        self.config = config
        self.image = image
        self.node = Node.open(config)

    def reopen(self) -> None:
        """As after an agent's restart."""
        self.node.detach()
        self.node = Node.open(self.config)

    def sandbox(
        self,
        number: int,
        mode: NetworkMode = "awsvpc",
        isolation: Isolation = "namespaces",
        *,
        ports: tuple[PortBinding, ...] = (),
        memory_mib: int | None = None,
        **more: Any,
    ) -> Sandbox:
        interface = None
        if mode == "awsvpc":
            interface = Interface(
                address=f"10.213.0.{number}",
                prefix_len=20,
                gateway="10.213.0.1",
                mac=f"02:00:00:00:00:{number:02x}",
                hostname=f"task-{number}",
                dns_servers=("10.213.0.2",),
                dns_search=("example.internal",),
            )
        spec = SandboxSpec(
            id=sandbox_id(number),
            network_mode=mode,
            isolation=isolation,
            interface=interface,
            ports=ports,
            memory_max_bytes=None if memory_mib is None else memory_mib << 20,
            **more,
        )
        return self.node.create_sandbox(spec)

    def start(self, number: int, command: str, index: int = 0, **more: Any) -> ContainerId:
        self.started(number, ("sh", "-c", command), index, **more)
        return container_id(number, index)

    def started(self, number: int, command: tuple[str, ...], index: int = 0, **more: Any) -> ContainerStatus:
        spec = ContainerSpec(
            id=container_id(number, index),
            sandbox=sandbox_id(number),
            name=f"c{index}",
            image="busybox",
            command=command,
            **more,
        )
        return self.node.start_container(spec, self.image)

    def log(self, container: ContainerId) -> str:
        with LogReader(self.node.log_path(container)) as reader:
            lines = reader.read()
            return "\n".join(line.text for line in (*lines, *reader.finish()))

    def wait_log(self, container: ContainerId, text: str) -> None:
        try:
            wait_for(f"{text!r} in the log", lambda: text in self.log(container))
        except AssertionError as error:
            raise AssertionError(f"{error}; the log: {self.log(container)!r}") from None

    def wait_exit(self, container: ContainerId) -> Exit:
        wait_for(f"the end of {container}", lambda: self.node.status(container).state == "stopped")
        ended = self.node.status(container).exit
        assert ended is not None
        return ended

    def output(self, container: ContainerId) -> str:
        self.wait_exit(container)
        return self.log(container)


def sandbox_id(number: int) -> SandboxId:
    return SandboxId(f"{number:032x}")


def container_id(number: int, index: int = 0) -> ContainerId:
    return ContainerId(f"{number:032x}-{index}")


def make_image(directory: Path) -> RootImage:
    """A root filesystem of Debian's static busybox."""
    for name in ("bin", "etc", "tmp", "home/app"):
        (directory / name).mkdir(parents=True)
    busybox = Path("/bin/busybox")
    (directory / "bin/busybox").write_bytes(busybox.read_bytes())
    (directory / "bin/busybox").chmod(0o755)
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\napp:x:1000:\nextra:x:2000:app\n")
    (directory / "tmp").chmod(0o1777)
    os.chown(directory / "home/app", 1000, 1000)
    return RootImage(digest="sha256:0", layers=(str(directory),), command=("sh",), environment=("GREETING=hello",))


def traces(config: NodeConfig) -> dict[str, list[str]]:
    """Everything on the host that bears the node's name."""
    links = [name for name in os.listdir("/sys/class/net") if name.startswith(config.link_prefix)]
    mounts = [
        line
        for line in Path("/proc/mounts").read_text().splitlines()
        if config.directory in line or line.startswith("moorage ")
    ]
    root = Path("/sys/fs/cgroup")
    name = f"moorage-{config.installation}"
    cgroups = [str(path) for path in (root / name, *root.glob(f"*/{name}")) if path.exists()]
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout.splitlines()
    routes = Path("/proc/net/route").read_text().splitlines()
    claims = Path(config.claims_directory)
    return {
        "links": links,
        "mounts": mounts,
        "cgroups": cgroups,
        "tables": [line for line in tables if config.installation in line],
        "routes": [line for line in routes if line.startswith(config.link_prefix)],
        "processes": [pid for pid in filter(str.isdecimal, os.listdir("/proc")) if _mentions(pid, config.directory)],
        "claims": [str(path) for path in claims.glob("*/*") if path.is_symlink() and _leads(path, config.directory)],
        "files": [config.directory] if Path(config.directory).exists() else [],
    }


def _mentions(pid: str, text: str) -> bool:
    try:
        return pid != str(os.getpid()) and text.encode() in Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False


def _leads(path: Path, directory: str) -> bool:
    try:
        return str(path.readlink()).startswith(directory)
    except FileNotFoundError:
        return False
