"""The part of the OCI runtime specification that bundles written here use, as types."""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Members at their default are left out: the specification's defaults are the same. Required ones are written."""


class User(Wire, frozen=True, kw_only=True):
    uid: int
    gid: int
    additional_gids: tuple[int, ...] = ()


class Capabilities(Wire, frozen=True, kw_only=True):
    bounding: tuple[str, ...]
    effective: tuple[str, ...]
    permitted: tuple[str, ...]


class Rlimit(Wire, frozen=True, kw_only=True):
    type: str
    soft: int
    hard: int


class Process(Wire, frozen=True, kw_only=True):
    args: tuple[str, ...]
    cwd: str
    user: User
    capabilities: Capabilities
    env: tuple[str, ...] = ()
    rlimits: tuple[Rlimit, ...] = ()
    terminal: bool = False
    no_new_privileges: bool = False
    apparmor_profile: str = ""


class Root(Wire, frozen=True, kw_only=True):
    path: str
    readonly: bool = False


class OciMount(Wire, frozen=True, kw_only=True):
    destination: str
    type: str
    source: str
    options: tuple[str, ...] = ()


class Namespace(Wire, frozen=True, kw_only=True):
    type: str
    path: str = ""


class IdMapping(Wire, frozen=True, kw_only=True):
    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int


class Cpu(Wire, frozen=True, kw_only=True):
    shares: int = 0
    quota: int = 0
    period: int = 0


class Memory(Wire, frozen=True, kw_only=True):
    limit: int = 0
    reservation: int = 0
    swap: int = 0  # memory and swap together
    swappiness: int | None = None


class Pids(Wire, frozen=True, kw_only=True):
    limit: int


class DeviceRule(Wire, frozen=True, kw_only=True):
    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class LinuxDevice(Wire, frozen=True, kw_only=True):
    type: str
    path: str
    major: int
    minor: int
    file_mode: int
    uid: int
    gid: int


class Resources(Wire, frozen=True, kw_only=True):
    devices: tuple[DeviceRule, ...] = ()
    cpu: Cpu | None = None
    memory: Memory | None = None
    pids: Pids | None = None


class SeccompArgument(Wire, frozen=True, kw_only=True):
    index: int
    value: int
    value_two: int = 0
    op: str


class SeccompRule(Wire, frozen=True, kw_only=True):
    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArgument, ...] = ()


class Seccomp(Wire, frozen=True, kw_only=True):
    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    syscalls: tuple[SeccompRule, ...] = ()


class Linux(Wire, frozen=True, kw_only=True):
    namespaces: tuple[Namespace, ...]
    cgroups_path: str
    resources: Resources
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp: Seccomp | None = None
    devices: tuple[LinuxDevice, ...] = ()
    sysctl: dict[str, str] = {}


class Bundle(Wire, frozen=True, kw_only=True):
    oci_version: str
    process: Process
    root: Root
    linux: Linux
    hostname: str = ""
    mounts: tuple[OciMount, ...] = ()
    annotations: dict[str, str] = {}
