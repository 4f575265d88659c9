"""Devices of the host that a container is given: their nodes, and the rules that let it use them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Final

import msgspec

from moorage.agent.drivers import oci
from moorage.agent.spec import ContainerSpec, Device, DriverError

# Every container has these of its own, or finds something else at their place.
_OWN: Final = frozenset(
    ("console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero")
)


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """One device node, and what may be done with it."""

    node: oci.LinuxDevice
    rule: oci.DeviceRule


def granted(spec: ContainerSpec) -> tuple[Granted, ...]:
    """The devices that the container asks for; a privileged one is given all that the host has."""
    found = {one.node.path: one for one in _of_host()} if spec.privileged else {}
    for device in spec.devices:
        found.update((one.node.path, one) for one in _named(device))
    return tuple(found.values())


def _of_host() -> Iterator[Granted]:
    for name in sorted(os.listdir("/dev")):
        if name not in _OWN:
            yield from _below(f"/dev/{name}", f"/dev/{name}", "rwm")


def _named(device: Device) -> list[Granted]:
    try:
        found = list(_below(os.path.realpath(device.source, strict=True), device.target, device.permissions))
    except OSError as error:
        reason = f"the device {device.source} of the host: {error.strerror}"
        raise DriverError("CannotCreateContainerError", reason) from error
    if not found:
        raise DriverError("CannotCreateContainerError", f"{device.source} is no device of the host")
    return found


def _below(source: str, target: str, permissions: str) -> Iterator[Granted]:
    """The device at `source`, or those in the directory; symbolic links in it are left out."""
    try:
        facts = os.lstat(source)
    except OSError as error:
        if error.errno == errno.ENOENT:  # unplugged in this moment
            return
        raise
    if stat.S_ISDIR(facts.st_mode):
        for name in sorted(os.listdir(source)):
            yield from _below(f"{source}/{name}", f"{target}/{name}", permissions)
        return
    if not (stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)):
        return
    kind = "c" if stat.S_ISCHR(facts.st_mode) else "b"
    major, minor = os.major(facts.st_rdev), os.minor(facts.st_rdev)
    yield Granted(
        node=oci.LinuxDevice(
            type=kind,
            path=target,
            major=major,
            minor=minor,
            file_mode=stat.S_IMODE(facts.st_mode),
            uid=facts.st_uid,
            gid=facts.st_gid,
        ),
        rule=oci.DeviceRule(allow=True, type=kind, major=major, minor=minor, access=permissions),
    )
