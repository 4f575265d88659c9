"""What a machine must have before an installation starts on it; each lack is told with its remedy."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Program, and the Debian package that brings it.
TOOLS: Final = {"conmon": "conmon", "nft": "nftables", "ip": "iproute2", "tini-static": "tini"}
RUNTIMES: Final = {"crun": "crun", "runc": "runc", "runsc": "runsc"}


def lacks(runtime: str) -> Iterator[str]:
    """A sentence for each thing that is missing on this machine; none where an installation can start."""
    if sys.platform != "linux":
        yield f"containers need Linux, this is {sys.platform}"
        return
    if os.geteuid() != 0:
        yield "not root: namespaces, links and cgroups are root's to make; run it with sudo"
    tools = TOOLS | {"crun": "crun", runtime: RUNTIMES[runtime]}
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            yield f"`{tool}` is not installed; apt-get install {package}"
    yield from _kernel_lacks()


def _kernel_lacks() -> Iterator[str]:
    cgroups = Path("/sys/fs/cgroup")
    if not (cgroups / "cgroup.controllers").exists() and not (cgroups / "memory").is_dir():
        yield "no cgroup controllers are mounted at /sys/fs/cgroup; limits could not hold"
    filesystems = Path("/proc/filesystems").read_text().split()
    if "overlay" not in filesystems:
        yield "the kernel has no overlayfs loaded; try `modprobe overlay`"
    users = Path("/proc/sys/user/max_user_namespaces")
    if not users.exists() or int(users.read_text()) == 0:
        yield "user namespaces are switched off, Fargate tasks need them; `sysctl user.max_user_namespaces=65536`"


def port_lack(host: str, port: int) -> str | None:
    """The sentence for an address that cannot be listened on; None where it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return f"{host}:{port} cannot be listened on: {error.strerror}; choose another with --listen HOST:PORT"
    return None
