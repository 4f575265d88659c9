"""The Docker Engine shapes inside a payload: `dockerConfig.config` and `dockerConfig.hostConfig`, JSON texts in the
form of the engine's container-create call, as far as a task definition of ours can ask for.

Source: Docker Engine API reference, ContainerCreate. Sizes are bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec

# 1.25 is the first version with `Init`, and every engine still in use answers it.
API_VERSION: Final = "1.25"
START_PERIOD_VERSION: Final = "1.29"  # the first with `StartPeriod`


class _Docker(
    msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True, forbid_unknown_fields=True
):
    """Pascal-case names. An unknown member is an error: a setting that nobody reads would be silently lost."""


class Healthcheck(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are nanoseconds; an absent one is the engine's default."""

    test: tuple[str, ...] = ()
    interval: int | None = None
    timeout: int | None = None
    retries: int | None = None
    start_period: int | None = None


class Config(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    labels: dict[str, str] | None = None
    healthcheck: Healthcheck | None = None
    open_stdin: bool | None = None
    tty: bool | None = None
    network_disabled: bool | None = None


class LogConfig(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str
    config: dict[str, str] = {}


class Ulimit(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    soft: int
    hard: int


class Device(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path_on_host: str
    path_in_container: str
    cgroup_permissions: str


class HostConfig(_Docker, frozen=True, kw_only=True, forbid_unknown_fields=True):
    network_mode: str | None = None
    log_config: LogConfig | None = None
    privileged: bool | None = None
    readonly_rootfs: bool | None = None
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    init: bool | None = None
    memory_reservation: int | None = None  # bytes
    memory_swap: int | None = None  # bytes, the memory's own limit included
    memory_swappiness: int | None = None
    shm_size: int | None = None  # bytes
    tmpfs: dict[str, str] | None = None  # mount options by directory
    devices: tuple[Device, ...] | None = None
    sysctls: dict[str, str] | None = None
    security_opt: tuple[str, ...] | None = None
    dns: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None  # "name:address"


_encode = msgspec.json.Encoder().encode


def encode(config: Config | HostConfig) -> str:
    """The JSON text that goes into a payload."""
    return _encode(config).decode()


def decode_config(text: str | None) -> Config:
    """Raises msgspec.DecodeError; an absent text is the empty configuration."""
    return msgspec.json.decode(text, type=Config) if text else Config()


def decode_host_config(text: str | None) -> HostConfig:
    """Raises msgspec.DecodeError; an absent text is the empty configuration."""
    return msgspec.json.decode(text, type=HostConfig) if text else HostConfig()
