"""What a node is told about itself, and every name that follows from it.

Several installations, and several agents of one installation, share a host. All that a node makes on the host
carries a name or a number derived here, so that each can find (and remove) its own and nothing else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from moorage.agent.spec import Isolation

LINK_NAME_MAX: Final = 15  # bytes: the kernel's IFNAMSIZ less its final zero
_INSTALLATION: Final = re.compile(r"[0-9a-f]{8}\Z")
_AGENT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")  # it becomes part of nftables and cgroup names


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's share of a host."""

    installation: str  # eight hexadecimal digits
    agent: str  # the agent's name in the installation: a-z, 0-9 and '-', at most 32
    directory: str  # absolute; the node's own files, on a disk that overlayfs can write to
    vpc_cidr: str  # the range of all awsvpc addresses of the installation
    private_cidr: str  # the range this node gives to bridge mode; no two nodes of a host share one
    runtime: Literal["crun", "runc"] = "crun"
    isolations: tuple[Isolation, ...] = ("namespaces",)  # checked at open: what this node must be able to do
    file_systems: tuple[tuple[str, str], ...] = ()  # (file-system id, absolute directory of the host)
    claims_directory: str = "/run/moorage"  # where the nodes of a host agree on ports and id ranges

    def __post_init__(self) -> None:
        if not _INSTALLATION.match(self.installation):
            raise ValueError(f"installation {self.installation!r} is not eight hexadecimal digits")
        if not _AGENT.match(self.agent):
            raise ValueError(f"agent name {self.agent!r} is not 1 to 32 of a-z, 0-9 and '-'")
        if not self.directory.startswith("/"):
            raise ValueError(f"the node's directory {self.directory!r} is not absolute")
        for name, directory in self.file_systems:
            if not directory.startswith("/"):
                raise ValueError(f"the directory {directory!r} of the file system {name} is not absolute")
        vpc, private = ipaddress.IPv4Network(self.vpc_cidr), ipaddress.IPv4Network(self.private_cidr)
        if vpc.overlaps(private):
            raise ValueError(f"the VPC range {vpc} and the bridge-mode range {private} overlap")

    @property
    def path(self) -> Path:
        return Path(self.directory)

    @property
    def link_prefix(self) -> str:
        """Of every link of the installation on this host."""
        return f"mr{self.installation[:4]}"

    @property
    def gateway_link(self) -> str:
        return f"{self.link_prefix}g{_digest(self.agent)[:6]}"

    def link_name(self, sandbox: str) -> str:
        """The host's end of a sandbox's link; 36 bits of digest keep 5,000 of them apart."""
        return self.link_prefix + _digest(f"{self.agent}/{sandbox}")[: LINK_NAME_MAX - len(self.link_prefix)]

    @property
    def link_group(self) -> int:
        """The link group of this node: one number lists, matches and deletes all its links. Even, 31 bits."""
        return int(_digest(f"{self.installation}/{self.agent}")[:8], 16) & 0x7FFFFFFE

    @property
    def isolated_group(self) -> int:
        """The link group of sandboxes that have no way to the host."""
        return self.link_group + 1

    @property
    def cgroup(self) -> str:
        """Relative to the root of every hierarchy."""
        return f"moorage-{self.installation}/{self.agent}"

    @property
    def nft_table(self) -> str:
        return f"moorage_{self.installation}_{self.agent.replace('-', '_')}"

    @property
    def owner(self) -> str:
        """The node's name among the nodes of the host."""
        return f"{self.installation}.{self.agent}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
