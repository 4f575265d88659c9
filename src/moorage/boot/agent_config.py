"""What an agent is told: by the installation's home on the same machine, or by a file on another one."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from moorage.agent.drivers.config import NodeConfig
from moorage.agent.registration import RESERVED_PORTS
from moorage.agent.spec import Isolation
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.container_instance import Resources
from moorage.model.installation import Settings

PORT_MAX: Final = 65_535


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that an agent is told."""

    installation: str  # eight hexadecimal digits
    name: str
    directory: str  # absolute: records, log positions, the node's own files
    images: str  # absolute: shared by the agents of one host
    credentials: str  # file with the node's access key, as the AWS SDKs write it
    endpoint: str
    region: str
    fleet: bool = False
    cluster: str = "default"
    zone: str | None = None
    cpu: int
    memory: int  # MiB
    vpc_cidr: str
    bridge_cidr: str
    runtime: Literal["crun", "runc", "runsc"] = "crun"
    reserved_ports: tuple[int, ...] = ()
    file_systems: dict[str, str] = {}  # absolute directories of this host, by file-system id
    introspection: str = ""  # HOST:PORT of the introspection API; empty: none
    metadata_files: bool = False  # show each container a file of what is known of it
    ready_file: str | None = None  # made once tasks can be placed here

    def __post_init__(self) -> None:
        if self.fleet and self.introspection:
            raise ValueError(
                "a host of the Fargate fleet has no introspection API: its tasks are nobody's on the host"
            )
        if self.fleet and self.metadata_files:
            raise ValueError("tasks on Fargate have no metadata files")
        if self.introspection and not self.introspection_port:
            raise ValueError(f"introspection is {self.introspection!r}, which is not HOST:PORT")

    @property
    def introspection_port(self) -> int:
        """0: there is none."""
        host, _, port = self.introspection.rpartition(":")
        return int(port) if host and port.isdecimal() and 0 < int(port) <= PORT_MAX else 0

    @property
    def isolation(self) -> Isolation:
        if not self.fleet:
            return "namespaces"
        return "runsc" if self.runtime == "runsc" else "userns"

    def node(self) -> NodeConfig:
        return NodeConfig(
            installation=self.installation,
            agent=self.name,
            directory=f"{self.directory}/node",
            vpc_cidr=self.vpc_cidr,
            private_cidr=self.bridge_cidr,
            runtime="crun" if self.runtime == "runsc" else self.runtime,
            isolations=(self.isolation,),
            file_systems=tuple(sorted(self.file_systems.items())),
        )

    def total(self) -> Resources:
        ports = () if self.fleet else self._reserved()
        return Resources(cpu=self.cpu, memory=self.memory, ports_tcp=ports)

    def _reserved(self) -> tuple[int, ...]:
        """Ports of an instance that no task may have."""
        own = {self.introspection_port} - {0}
        return tuple(sorted({*RESERVED_PORTS, *self.reserved_ports, *own}))


class Key(msgspec.Struct, frozen=True):
    """An access key."""

    id: str
    secret: str


def config_from_home(home: Path, name: str) -> AgentConfig:
    """The configuration of a node that `moor up` has decided on."""
    settings = msgspec.json.decode((home / "installation.json").read_bytes(), type=Settings)
    node = next((node for node in settings.nodes if node.name == name), None)
    if node is None:
        raise ValueError(f"{home} has no node {name}")
    return AgentConfig(
        installation=settings.id,
        name=node.name,
        directory=str(home / "nodes" / node.name),
        images=str(home / "images"),
        credentials=str(home / "nodes" / "credentials"),
        endpoint=settings.endpoint,
        region=node.region,
        fleet=node.fleet,
        cluster=FARGATE_CLUSTER if node.fleet else node.cluster,
        zone=node.zone,
        cpu=node.cpu,
        memory=node.memory,
        vpc_cidr=settings.vpc_cidr,
        bridge_cidr=node.bridge_cidr,
        runtime=node.runtime,
        reserved_ports=(settings.port,),
        file_systems=settings.file_systems,
        introspection=node.introspection,
        metadata_files=node.metadata_files,
        ready_file=str(home / "run" / f"{node.name}.ready"),
    )


def config_from_file(file: Path) -> AgentConfig:
    decode = msgspec.toml.decode if file.suffix == ".toml" else msgspec.json.decode
    return decode(file.read_bytes(), type=AgentConfig)
