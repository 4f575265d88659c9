"""What the agent's state machine asks of its drivers, and what they answer: plain values, no behaviour.

A **sandbox** is what one ECS task lives in: a network namespace, a cgroup, perhaps a user namespace. It holds
**containers**. Both are named by the agent, so that a restarted agent finds again what it made.
"""

from __future__ import annotations

from typing import Final, Literal, NewType

import msgspec

SandboxId = NewType("SandboxId", str)  # the task's id: 32 hexadecimal digits
ContainerId = NewType("ContainerId", str)  # `<sandbox id>-<index in the task>`: unique on the node

METADATA_FILE: Final = "ecs-container-metadata.json"

NetworkMode = Literal["awsvpc", "bridge", "host", "none"]
Isolation = Literal["namespaces", "userns", "runsc"]
PidMode = Literal["own", "task", "host"]  # whose processes a container sees
IpcMode = Literal["own", "task", "host", "none"]  # with whom it shares memory; "none": not even /dev/shm of its own
Protocol = Literal["tcp", "udp"]


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """A task's own network interface, as the control plane assigned it."""

    address: str  # IPv4, dotted
    prefix_len: int  # of the subnet
    gateway: str  # the subnet's router, IPv4
    mac: str  # six colon-separated octets
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    hostname: str = ""


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A host port that leads to a container port; `host_port` 0 asks for any free one (bridge mode)."""

    container: str  # the container's name; the driver only hands it back
    container_port: int
    host_port: int
    protocol: Protocol = "tcp"


class ScratchVolume(msgspec.Struct, frozen=True, kw_only=True, tag="scratch"):
    """An empty directory that lives as long as its task."""

    name: str


class HostVolume(msgspec.Struct, frozen=True, kw_only=True, tag="host"):
    """A directory or file of the host; a directory that is missing is made."""

    name: str
    path: str


class DockerVolume(msgspec.Struct, frozen=True, kw_only=True, tag="docker"):
    """A volume of Docker's `local` driver: the task's own, or shared by all that name it and kept after them."""

    name: str
    shared: bool
    autoprovision: bool = False  # of a shared one that does not exist
    options: tuple[tuple[str, str], ...] = ()  # type, device and o, as for mount(8); none: a plain directory


class FileSystemVolume(msgspec.Struct, frozen=True, kw_only=True, tag="efs"):
    """A directory of a shared file system, which the node's settings give a place."""

    name: str
    file_system: str
    root: str = "/"  # inside the file system
    encrypted: bool = False  # what leaves the host must


Volume = ScratchVolume | HostVolume | DockerVolume | FileSystemVolume


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is shared by the containers of one task."""

    id: SandboxId
    network_mode: NetworkMode
    isolation: Isolation
    interface: Interface | None = None  # awsvpc only
    ports: tuple[PortBinding, ...] = ()  # bridge only
    cpu_shares: int = 2  # weight among sandboxes; 1024 is one vCPU
    cpu_quota_us: int | None = None  # per 100 ms period; None: no ceiling
    memory_max_bytes: int | None = None  # None: bounded by the containers alone
    pids_max: int | None = None
    pid_mode: PidMode = "own"
    ipc_mode: IpcMode = "own"
    volumes: tuple[Volume, ...] = ()
    storage_max_bytes: int | None = None  # of all that its containers write to disk; None: the node's disk


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox that exists."""

    id: SandboxId
    ports: tuple[PortBinding, ...] = ()  # with the host ports that were found
    address: str = ""  # where its containers are reached; "" in host mode


class RootImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose layers lie unpacked on this node, and what its configuration says of the process."""

    digest: str  # of the manifest
    layers: tuple[str, ...]  # absolute directories, lowest first
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # "K=V"
    user: str = ""
    working_directory: str = ""
    stop_signal: str = ""  # a name or a number; empty: SIGTERM
    volumes: tuple[str, ...] = ()  # directories whose content is not part of the root filesystem


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A directory or file of the host, shown to a container."""

    source: str  # absolute, on the host
    target: str  # absolute, in the container
    readonly: bool = False


class MountPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A volume of the sandbox, shown to a container."""

    volume: str
    target: str  # absolute, in the container
    readonly: bool = False


class VolumesFrom(msgspec.Struct, frozen=True, kw_only=True):
    """All volumes of another container, at the same places; that one must have been started."""

    container: ContainerId
    readonly: bool = False


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the host; a directory stands for those in it."""

    source: str
    target: str
    permissions: str = "rwm"


class Tmpfs(msgspec.Struct, frozen=True, kw_only=True):
    """A directory in memory."""

    target: str
    options: tuple[str, ...] = ()  # of mount(8), its size among them


class Ulimit(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # as in a task definition: "nofile", "core", …
    soft: int
    hard: int


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One container to start. What is None or empty is taken from the image's own configuration."""

    id: ContainerId
    sandbox: SandboxId
    name: str
    image: str  # the reference as the task definition gives it; already pulled
    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    default_environment: tuple[tuple[str, str], ...] = ()  # set where neither task nor image names any of them
    user: str | None = None  # user, uid, user:group, uid:gid
    working_directory: str | None = None
    hostname: str | None = None
    cpu_shares: int = 2
    memory_max_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    readonly_root: bool = False
    privileged: bool = False
    init: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    mounts: tuple[Mount, ...] = ()
    metadata_directory: str = ""  # where the container finds a file of what is known of it; empty: nowhere
    metadata: str = ""  # what that file says before the container runs
    mount_points: tuple[MountPoint, ...] = ()
    volumes_from: tuple[VolumesFrom, ...] = ()
    lends_volumes: bool = False  # some other container has its volumes from this one
    tmpfs: tuple[Tmpfs, ...] = ()
    shm_bytes: int | None = None  # of /dev/shm; None: 64 MiB
    devices: tuple[Device, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    swap_max_bytes: int | None = None  # beside the memory; None: as the host has it
    swappiness: int | None = None  # 0 to 100
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    open_stdin: bool = False  # reading from standard input waits instead of ending
    terminal: bool = False
    network_disabled: bool = False
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()  # (name, address); the address "host-gateway" is the host's
    aliases: tuple[str, ...] = ()  # names by which the sandbox's own address is known to the container


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a container ended. `code` is None where nobody saw it end (its supervisor was killed)."""

    code: int | None
    oom_killed: bool
    at_s: float  # epoch seconds; 0.0 where nobody saw it end


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver knows of a container; a container is `created` only while it is being started."""

    id: ContainerId
    state: Literal["absent", "created", "running", "stopped"]
    pid: int | None = None
    exit: Exit | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a health check ended; no exit code: it did not begin, or did not end in time."""

    exit_code: int | None
    output: str = ""


class DriverError(Exception):
    """A step failed. `kind` is the ECS name of the failure, `reason` its sentence.

    Kinds: CannotPullContainerError, CannotCreateContainerError, CannotStartContainerError,
    ContainerNetworkingError, ResourceInitializationError, CannotStopContainerError.
    """

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(f"{kind}: {reason}")
