"""What the operator chose: one installation, and the nodes that it runs on this machine.

Kept as `installation.json` in the installation's home, written by `moor up`, read by every program that it starts.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import AccountId, Region

ZONE_LETTERS = ("a", "b", "c")


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A share of this machine, worked by one agent."""

    name: str  # unique in the installation; part of link names, hence short
    fleet: bool  # True: part of the Fargate fleet; False: a container instance
    region: Region
    cluster: str = "default"  # where a container instance registers
    zone: str | None = None  # None: any zone, for a fleet host only
    cpu: int  # units that may be placed here
    memory: int  # MiB that may be placed here
    bridge_cidr: str  # addresses of its `bridge` tasks; private to the machine
    runtime: Literal["crun", "runc", "runsc"] = "crun"
    introspection: str = ""  # HOST:PORT of the agent's introspection API; empty: none; never of a fleet host
    metadata_files: bool = False  # containers find a file of what is known of them; never on a fleet host


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an installation is started with."""

    id: str  # 8 hexadecimal digits: names its links, rules and cgroups
    account: AccountId
    regions: tuple[Region, ...]
    host: str
    port: int
    vpc_cidr: str  # of the default VPC
    nodes: tuple[NodeSettings, ...]
    file_systems: dict[str, str] = {}  # directories of this machine, by file-system id

    @property
    def endpoint(self) -> str:
        """Where clients and agents on this machine reach the API."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"


class ProgramState(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's word on one program, in `run/ready.json` by the program's name."""

    ready: bool
    deaths: int  # since the supervisor started
