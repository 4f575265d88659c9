"""What the installations of one machine share: who uses which addresses, and how much of it there is to give.

Each running installation keeps one file in /run/moorage/installations, so that the next one chooses other addresses.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec

from moorage.model.installation import Settings

SHARED: Final = Path("/run/moorage/installations")
# AWS's default VPC is 172.31.0.0/16; a second installation gets the next one down. 172.17 to 172.20 are where
# Docker begins. After these come ranges of 10/8 that few networks use.
VPC_RANGES: Final = tuple(f"172.{n}.0.0/16" for n in range(31, 20, -1)) + tuple(
    f"10.{n}.0.0/16" for n in range(254, 223, -1)
)
BRIDGE_POOL: Final = ipaddress.IPv4Network("10.192.0.0/12")
BRIDGE_PREFIX: Final = 20  # 4,093 bridge tasks on a node, more than memory allows
# Kept back for the system and for Moorage's own programs.
RESERVED_MEMORY_MIB: Final = 512
RESERVED_MEMORY_SHARE: Final = 0.1

Network = ipaddress.IPv4Network


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses that one installation uses."""

    id: str
    home: str
    ranges: tuple[str, ...]


@contextmanager
def deciding() -> Iterator[None]:
    """Alone on this machine while choosing what installations must not share, and while starting one."""
    fd = _locked_directory()
    try:
        yield
    finally:
        _remove_if_empty()
        os.close(fd)


def _locked_directory() -> int:
    while True:
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(SHARED, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # the last installation to leave took the directory along
            if os.fstat(fd).st_ino == SHARED.stat().st_ino:
                return fd
        os.close(fd)


def _remove_if_empty() -> None:
    with contextlib.suppress(OSError):  # not empty: other installations run, or nodes have their claims there
        SHARED.rmdir()
        SHARED.parent.rmdir()


def claim(settings: Settings, home: Path) -> None:
    """Tell the machine's other installations which addresses this one uses."""
    SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
    ranges = (settings.vpc_cidr, *(node.bridge_cidr for node in settings.nodes))
    fresh = SHARED / f".{settings.id}.new"
    fresh.write_bytes(msgspec.json.encode(Claim(id=settings.id, home=str(home), ranges=ranges)))
    fresh.replace(SHARED / f"{settings.id}.json")


def release(settings: Settings) -> None:
    """Give the addresses back; the last one to leave removes the directories."""
    (SHARED / f"{settings.id}.json").unlink(missing_ok=True)
    _remove_if_empty()


def claims() -> Iterator[Claim]:
    """The claims of all installations that run on this machine."""
    for path in sorted(SHARED.glob("*.json")):
        yield msgspec.json.decode(path.read_bytes(), type=Claim)


def new_id() -> str:
    """An installation's id: eight hexadecimal digits; the first four name its links and are its own here."""
    known = {other.id[:4] for other in claims()}
    while True:
        fresh = secrets.token_hex(4)
        if fresh[:4] not in known:
            return fresh


def _taken(own_id: str) -> list[Network]:
    """Ranges in use: other installations', and those to which the machine has routes."""
    taken = [ipaddress.IPv4Network(text) for other in claims() if other.id != own_id for text in other.ranges]
    own = {text for one in claims() if one.id == own_id for text in one.ranges}
    listing = subprocess.run(["ip", "-j", "-4", "route", "show"], capture_output=True, check=True)
    for route in json.loads(listing.stdout or b"[]"):
        if route["dst"] != "default":
            network = ipaddress.IPv4Network(route["dst"])
            if not any(network.subnet_of(ipaddress.IPv4Network(text)) for text in own):
                taken.append(network)
    return taken


def _free(candidates: Iterable[Network], taken: list[Network]) -> Network:
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise click.ClickException("no address range is left for the default VPC; name one with --vpc-cidr")


def choose_vpc(own_id: str, wanted: str | None) -> str:
    """The default VPC's range: the one wanted, or the first that nothing else on the machine uses."""
    taken = _taken(own_id)
    if wanted is None:
        return str(_free((ipaddress.IPv4Network(text) for text in VPC_RANGES), taken))
    try:
        network = ipaddress.IPv4Network(wanted)
    except ValueError as error:
        raise click.ClickException(f"--vpc-cidr {wanted}: {error}") from error
    if not 16 <= network.prefixlen <= 26:  # EC2 allows /16 to /28; three subnets of at least /28 must fit
        raise click.ClickException(f"--vpc-cidr {wanted}: the prefix must be from /16 to /26")
    clash = next((other for other in taken if network.overlaps(other)), None)
    if clash is not None:
        raise click.ClickException(f"--vpc-cidr {wanted}: {clash} is in use on this machine")
    return str(network)


def choose_bridge(own_id: str, beside: Iterable[str]) -> str:
    """A private range for the `bridge` tasks of one node."""
    taken = _taken(own_id) + [ipaddress.IPv4Network(text) for text in beside]
    return str(_free((ipaddress.IPv4Network(one) for one in BRIDGE_POOL.subnets(new_prefix=BRIDGE_PREFIX)), taken))


def capacity() -> tuple[int, int]:
    """What this machine can give to tasks: (cpu in units, memory in MiB)."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    kept = max(RESERVED_MEMORY_MIB, int(pages * RESERVED_MEMORY_SHARE))
    return len(os.sched_getaffinity(0)) * 1024, max(pages - kept, 0)
