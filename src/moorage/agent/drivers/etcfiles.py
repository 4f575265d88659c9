"""The three files that every container finds in /etc: hosts, hostname and resolv.conf."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from moorage.agent.spec import Mount

NAMES: Final = ("hosts", "hostname", "resolv.conf")
# Where a local caching resolver keeps the servers that it asks itself.
_RESOLVERS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def hosts(hostname: str, address: str) -> str:
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if address:
        lines.append(f"{address}\t{hostname}")
    return "\n".join(lines) + "\n"


def more_hosts(text: str, names: Iterable[tuple[str, str]]) -> str:
    """The file with further (name, address) pairs at its end."""
    return text + "".join(f"{address}\t{name}\n" for name, address in names)


def other_resolv_conf(text: str, servers: tuple[str, ...], search: tuple[str, ...]) -> str:
    """The file with its servers, its search domains, or both replaced; the domain "." stands for none."""
    lines = text.splitlines()
    if servers:
        lines = [line for line in lines if not line.startswith("nameserver")]
        lines += [f"nameserver {server}" for server in servers]
    if search:
        lines = [line for line in lines if not line.startswith(("search", "domain"))]
        named = " ".join(each for each in search if each != ".")
        lines = [f"search {named}", *lines] if named else lines
    return "".join(f"{line}\n" for line in lines)


def resolv_conf(servers: tuple[str, ...], search: tuple[str, ...]) -> str:
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.insert(0, f"search {' '.join(search)}")
    return "".join(f"{line}\n" for line in lines)


def host_resolv_conf(own_network: bool) -> str:
    """The host's, less the servers that a network namespace of its own cannot reach: those on 127.0.0.0/8."""
    for file in _RESOLVERS:
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        if not own_network:
            return "\n".join(lines) + "\n"
        kept = [line for line in lines if not line.startswith(("nameserver 127.", "nameserver ::1"))]
        if any(line.startswith("nameserver") for line in kept):
            return "\n".join(kept) + "\n"
    return ""


def write(directory: Path, owner: int, files: dict[str, str]) -> None:
    """Plain writes, no rename: nothing reads them before the sandbox is complete."""
    for name, text in files.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)
        if owner:
            os.chown(path, owner, owner)


def mounts(directory: Path, override: Path | None) -> tuple[Mount, ...]:
    """The files of the sandbox; those that the container has of its own come from `override`."""
    found = []
    for name in NAMES:
        own = override / name if override is not None else None
        source = own if own is not None and own.exists() else directory / name
        found.append(Mount(source=str(source), target=f"/etc/{name}"))
    return tuple(found)
