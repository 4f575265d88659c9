"""The shapes of task metadata, versions 2, 3 and 4, as the AWS SDKs and telemetry collectors read them.

Version 4 has everything; `as_v3` leaves out what the earlier versions do not know. A key without a value is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Pascal-case names; what has its default is left out."""


class Port(_Shape, frozen=True, kw_only=True):
    container_port: int
    protocol: str
    host_port: int = 0
    host_ip: str = ""


class Limits(_Shape, frozen=True, kw_only=True):
    """Of a task in vCPUs, of a container in units; memory in MiB."""

    cpu: float | int | None = msgspec.field(name="CPU", default=None)
    memory: int | None = None


class Network(_Shape, frozen=True, kw_only=True):
    network_mode: str
    ipv4_addresses: tuple[str, ...] = msgspec.field(name="IPv4Addresses", default=())
    attachment_index: int | None = None
    mac_address: str = msgspec.field(name="MACAddress", default="")
    ipv4_subnet_cidr_block: str = msgspec.field(name="IPv4SubnetCIDRBlock", default="")
    domain_name_servers: tuple[str, ...] = ()
    domain_name_search_list: tuple[str, ...] = ()
    private_dns_name: str = msgspec.field(name="PrivateDNSName", default="")
    subnet_gateway_ipv4_address: str = ""


class Volume(_Shape, frozen=True, kw_only=True):
    docker_name: str = ""
    source: str = ""
    destination: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: str
    status_since: str | None = msgspec.field(name="statusSince", default=None)
    exit_code: int | None = msgspec.field(name="exitCode", default=None)
    output: str = ""


class Container(_Shape, frozen=True, kw_only=True):
    docker_id: str
    name: str
    docker_name: str
    image: str
    image_id: str = msgspec.field(name="ImageID", default="")
    ports: tuple[Port, ...] = ()
    labels: dict[str, str] | None = None
    desired_status: str
    known_status: str
    exit_code: int | None = None
    limits: Limits
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    type: str = ""
    health: Health | None = None
    volumes: tuple[Volume, ...] = ()
    log_driver: str = ""
    log_options: dict[str, str] | None = None
    container_arn: str = msgspec.field(name="ContainerARN", default="")
    snapshotter: str = ""
    restart_count: int | None = None
    networks: tuple[Network, ...] = ()


class ClockDrift(_Shape, frozen=True, kw_only=True):
    clock_error_bound: float | None = None  # milliseconds
    reference_timestamp: str
    clock_synchronization_status: str


class TagsError(_Shape, frozen=True, kw_only=True):
    error_field: str
    error_code: str
    error_message: str
    status_code: int
    resource_arn: str = msgspec.field(name="ResourceARN")


class Task(_Shape, frozen=True, kw_only=True):
    cluster: str
    task_arn: str = msgspec.field(name="TaskARN")
    family: str
    revision: str
    desired_status: str
    known_status: str
    limits: Limits | None = None
    pull_started_at: str | None = None
    pull_stopped_at: str | None = None
    execution_stopped_at: str | None = None
    availability_zone: str = ""
    launch_type: str = ""
    containers: tuple[Container, ...]
    service_name: str = ""
    fault_injection_enabled: bool | None = None
    clock_drift: ClockDrift | None = None
    task_tags: dict[str, str] | None = None
    container_instance_tags: dict[str, str] | None = None
    errors: tuple[TagsError, ...] = ()


def container_as_v3(container: Container) -> Container:
    return replace(
        container,
        container_arn="",
        log_driver="",
        log_options=None,
        snapshotter="",
        restart_count=None,
        ports=tuple(replace(port, host_ip="") for port in container.ports),
        networks=tuple(
            Network(network_mode=network.network_mode, ipv4_addresses=network.ipv4_addresses)
            for network in container.networks
        ),
    )


def task_as_v3(task: Task) -> Task:
    return replace(
        task,
        launch_type="",
        service_name="",
        fault_injection_enabled=None,
        clock_drift=None,
        containers=tuple(container_as_v3(container) for container in task.containers),
    )


def moment(at_s: float | None) -> str | None:
    """RFC 3339 with as many decimals as there are, at most six."""
    if at_s is None:
        return None
    at = datetime.fromtimestamp(at_s, UTC)
    text = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{text}Z"
