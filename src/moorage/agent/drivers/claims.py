"""What all nodes of a host must agree on: host ports, id ranges, and whether the host forwards packets.

A claim is a symbolic link from the claimed thing's name to the directory of its owner: made in one step, never
half-written, and void as soon as the owner's directory is gone. All changes happen under one file lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from moorage.agent.drivers.namespaces import ID_RANGE
from moorage.agent.spec import DriverError, Protocol

# Above everything that useradd, systemd and /etc/subuid hand out, below the largest 32-bit ids.
FIRST_ID: Final = 0x8000_0000
ID_RANGES_MAX: Final = 0x7FFF  # of 65,536 ids each: more user namespaces than one host can run
_KINDS: Final = ("ports", "ids", "endpoints", "forwarding", "stage")
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Claims:
    """The claims of one node; `owner` names it among the nodes of the host, `home` is its directory."""

    def __init__(self, directory: Path, owner: str, home: Path) -> None:
        self._directory = directory
        self._owner = owner
        self._home = home

    @property
    def stage(self) -> Path:
        """An empty directory that every user can reach, for mounts that only one mount namespace sees."""
        return self._directory / "stage"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._directory / "lock"
        while True:
            for name in _KINDS:
                (self._directory / name).mkdir(parents=True, exist_ok=True)
            fd = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                # The last node to leave removes the directory: then this lock is nobody's.
                with contextlib.suppress(FileNotFoundError):
                    if os.fstat(fd).st_ino == lock.stat().st_ino:
                        yield
                        return
            finally:
                os.close(fd)

    def _take(self, name: str, home: Path) -> bool:
        claim = self._directory / name
        if claim.is_symlink() and not claim.exists():
            claim.unlink()
        try:
            claim.symlink_to(home)
        except FileExistsError:
            return claim.readlink() == home
        return True

    def claim_port(self, home: Path, protocol: Protocol, port: int) -> int:
        """Claim a host port for the sandbox whose directory is `home`; 0 asks for any free one."""
        with self._locked():
            for number in _ephemeral_ports() if port == 0 else (port,):
                name = f"ports/{protocol}-{number}"
                mine = (self._directory / name).is_symlink() and (self._directory / name).readlink() == home
                if mine and port == 0:
                    continue  # another binding of the same sandbox holds it
                if (mine or _is_bindable(protocol, number)) and self._take(name, home):
                    return number
        reason = "no free host port is left" if port == 0 else f"host port {port}/{protocol} is already in use"
        raise DriverError("ContainerNetworkingError", reason)

    def claim_ids(self, home: Path) -> int:
        """The first id of a range that is the sandbox's alone."""
        with self._locked():
            for number in range(ID_RANGES_MAX):
                if self._take(f"ids/{number}", home):
                    return FIRST_ID + number * ID_RANGE
        raise DriverError("ResourceInitializationError", f"all {ID_RANGES_MAX} ranges of user ids are in use")

    def release(self, home: Path) -> None:
        """Give back all that the sandbox (or, for the node's own directory, the whole node) has claimed."""
        with self._locked():
            for kind in ("ports", "ids", "endpoints"):
                for claim in (self._directory / kind).iterdir():
                    if claim.readlink() == home or home in claim.readlink().parents:
                        claim.unlink()

    def announce_endpoint(self, port: int) -> None:
        """Tell the other nodes of the host on which port this one's agent answers containers."""
        with self._locked():
            for claim in (self._directory / "endpoints").iterdir():
                if claim.readlink() == self._home:
                    claim.unlink()
            self._take(f"endpoints/{port}", self._home)

    def other_endpoints(self) -> tuple[int, ...]:
        """The ports on which the host's other nodes answer containers, or did when they were last alive."""
        others = [claim for claim in (self._directory / "endpoints").iterdir() if claim.readlink() != self._home]
        return tuple(sorted(int(claim.name) for claim in others if claim.exists()))

    def want_forwarding(self) -> None:
        """Have the host forward packets, remembering whether it did so before."""
        with self._locked():
            self._take(f"forwarding/{self._owner}", self._home)
            if _FORWARDING.read_bytes().strip() == b"0":
                (self._directory / "forwarding-was-off").touch()
                _FORWARDING.write_bytes(b"1")

    def leave(self) -> None:
        """The node is gone; the last one puts the host back as it was and removes the directory."""
        self.release(self._home)
        with self._locked():
            (self._directory / "forwarding" / self._owner).unlink(missing_ok=True)
            if any(claim.exists() for claim in (self._directory / "forwarding").iterdir()):
                return
            marker = self._directory / "forwarding-was-off"
            if marker.exists():
                _FORWARDING.write_bytes(b"0")
                marker.unlink()
            for name in _KINDS:
                for claim in (self._directory / name).iterdir():
                    claim.unlink()
                (self._directory / name).rmdir()
            (self._directory / "lock").unlink()
            with contextlib.suppress(OSError):  # not empty: somebody else's files
                self._directory.rmdir()


def _ephemeral_ports() -> Iterator[int]:
    first, last = map(int, _PORT_RANGE.read_text().split())
    yield from range(first, last + 1)


def _is_bindable(protocol: Protocol, port: int) -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
