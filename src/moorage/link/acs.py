"""The agent communication service (ACS): the messages of the websocket between control plane and agent.

Field names are those of the published protocol. A frame is `{"type": …, "message": {…}}`; a type nobody here knows is
not an error, so that either side may be newer. The refusals of a handshake are in `link/refusal.py`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from moorage.model.task import DesiredStatus, LaunchType
from moorage.model.task_definition import Condition, NetworkMode

PROTOCOL_VERSION: Final = 2

# ---- what a payload is made of --------------------------------------------------------------------------------


class Unread(msgspec.Struct, frozen=True):
    """A member of the published protocol that Moorage neither sends nor carries out yet: only its presence is
    seen, so that an agent can refuse the task instead of running it without."""


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case names; absent members are left out, so a default is always what absence means."""


class PortMapping(_Shape, frozen=True, kw_only=True):
    container_port: int | None = None
    host_port: int | None = None  # 0: any free one
    protocol: Literal["tcp", "udp"] | None = None  # absent: tcp
    container_port_range: str | None = None


class DockerConfig(_Shape, frozen=True, kw_only=True):
    """`config` and `host_config` are JSON texts: see `link.docker`."""

    config: str | None = None
    host_config: str | None = None
    version: str | None = None  # of the Docker Engine API


class Dependency(_Shape, frozen=True, kw_only=True):
    container_name: str
    condition: Condition


class RestartPolicy(_Shape, frozen=True, kw_only=True):
    enabled: bool | None = None  # always sent
    ignored_exit_codes: tuple[int, ...] = ()
    restart_attempt_period: int | None = None  # seconds; absent: 300


class MountPoint(_Shape, frozen=True, kw_only=True):
    source_volume: str
    container_path: str
    read_only: bool | None = None


class VolumeFrom(_Shape, frozen=True, kw_only=True):
    source_container: str
    read_only: bool | None = None


class HostVolume(_Shape, frozen=True, kw_only=True):
    source_path: str | None = None  # absent: an empty volume of the task's


class DockerVolume(_Shape, frozen=True, kw_only=True):
    scope: Literal["task", "shared"] | None = None  # absent: task
    autoprovision: bool | None = None
    driver: str | None = None  # absent: local
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}


class EfsAuthorization(_Shape, frozen=True, kw_only=True):
    access_point_id: str | None = None
    iam: Literal["ENABLED", "DISABLED"] | None = None


class EfsVolume(_Shape, frozen=True, kw_only=True):
    file_system_id: str
    root_directory: str | None = None
    transit_encryption: Literal["ENABLED", "DISABLED"] | None = None
    transit_encryption_port: int | None = None
    authorization_config: EfsAuthorization | None = None


class Volume(_Shape, frozen=True, kw_only=True):
    """`type` says which of the others is there."""

    name: str
    type: str | None = None  # always sent: host, docker, efs, …
    host: HostVolume | None = None
    docker_volume_configuration: DockerVolume | None = None
    efs_volume_configuration: EfsVolume | None = None


class Container(_Shape, frozen=True, kw_only=True):
    name: str
    image: str
    container_arn: str | None = None
    cpu: int | None = None  # shares
    memory: int | None = None  # MiB, hard
    essential: bool | None = None  # always sent
    command: tuple[str, ...] | None = None
    entry_point: tuple[str, ...] | None = None
    environment: dict[str, str] | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    start_timeout: int | None = None  # seconds
    stop_timeout: int | None = None  # seconds
    health_check_type: str | None = None  # "docker": the engine's `Healthcheck` is one to report
    restart_policy: RestartPolicy | None = None
    mount_points: tuple[MountPoint, ...] = ()
    volumes_from: tuple[VolumeFrom, ...] = ()
    links: tuple[str, ...] = ()  # "name:alias"
    docker_config: DockerConfig | None = None
    overrides: str | None = None  # JSON text; only `command` is legal in it

    environment_files: tuple[Unread, ...] = ()
    secrets: tuple[Unread, ...] = ()
    registry_authentication: Unread | None = None
    logs_auth_strategy: str | None = None
    managed_agents: tuple[Unread, ...] = ()
    firelens_configuration: Unread | None = None
    credential_specs: tuple[str, ...] = ()


class Ipv4Address(_Shape, frozen=True, kw_only=True):
    primary: bool = False
    private_address: str


class NetworkInterface(_Shape, frozen=True, kw_only=True):
    """A task's interface (ENI)."""

    attachment_arn: str
    ec2_id: str = msgspec.field(name="ec2Id")
    mac_address: str
    ipv4_addresses: tuple[Ipv4Address, ...] = msgspec.field(name="ipv4Addresses", default=())
    subnet_gateway_ipv4_address: str = msgspec.field(name="subnetGatewayIpv4Address")  # "10.0.0.1/24"
    domain_name: tuple[str, ...] = ()
    domain_name_servers: tuple[str, ...] = ()
    private_dns_name: str | None = None
    interface_association_protocol: Literal["default", "vlan"] | None = None
    interface_vlan_properties: Unread | None = None
    index: int | None = None
    name: str | None = None


class RoleCredentials(_Shape, frozen=True, kw_only=True):
    """`credentials_id` is unique for each task and role: the agent deletes it with the task."""

    credentials_id: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: str  # ISO 8601
    role_arn: str
    credential_scope: str | None = None


class Task(_Shape, frozen=True, kw_only=True):
    arn: str
    family: str
    version: str  # the definition's revision
    desired_status: DesiredStatus
    task_cluster_arn: str
    task_definition_account_id: str | None = None
    launch_type: LaunchType | None = None
    network_mode: NetworkMode | None = None  # absent: bridge
    cpu: float | None = None  # vCPUs of the whole task
    memory: int | None = None  # MiB of the whole task
    overrides: str | None = None
    service_name: str | None = None
    group: str | None = None
    zone: str | None = None
    containers: tuple[Container, ...] = ()
    elastic_network_interfaces: tuple[NetworkInterface, ...] = ()
    role_credentials: RoleCredentials | None = None
    execution_role_credentials: RoleCredentials | None = None

    # Ours, in no published protocol: sent only to agents with `moorage.capability.ephemeral-storage`.
    ephemeral_storage_gib: int | None = msgspec.field(name="moorage.ephemeralStorageGiB", default=None)
    volumes: tuple[Volume, ...] = ()
    pid_mode: Literal["host", "task"] | None = None
    ipc_mode: Literal["host", "task", "none"] | None = None
    associations: tuple[Unread, ...] = ()
    attachments: tuple[Unread, ...] = ()
    proxy_configuration: Unread | None = None
    enable_fault_injection: bool | None = None


# ---- server to agent ------------------------------------------------------------------------------------------


class HeartbeatMessage(_Shape, frozen=True, kw_only=True):
    message_id: str
    healthy: bool | None = None  # always sent


class PayloadMessage(_Shape, frozen=True, kw_only=True):
    """Tasks to run, and with desired status STOPPED tasks to stop. Acknowledged only if every task was accepted."""

    cluster_arn: str
    container_instance_arn: str
    message_id: str
    seq_num: int | None = None
    generated_at: int | None = None  # milliseconds
    timeline: int | None = None
    tasks: tuple[Task, ...] = ()


class TaskIdentifier(_Shape, frozen=True, kw_only=True):
    task_arn: str
    task_cluster_arn: str
    desired_status: DesiredStatus


class TaskManifestMessage(_Shape, frozen=True, kw_only=True):
    """All the tasks that the instance should have; dropped by the agent where `timeline` is not above every
    sequence number it has seen."""

    message_id: str
    cluster_arn: str
    container_instance_arn: str
    generated_at: int | None = None
    timeline: int
    tasks: tuple[TaskIdentifier, ...] = ()


class TaskStopVerificationAck(_Shape, frozen=True, kw_only=True):
    """The candidates that truly are to stop."""

    message_id: str
    generated_at: int | None = None
    stop_tasks: tuple[TaskIdentifier, ...] = ()


class IAMRoleCredentialsMessage(_Shape, frozen=True, kw_only=True):
    message_id: str
    task_arn: str
    task_cluster_arn: str | None = None
    role_type: Literal["TaskApplication", "TaskExecution"]
    role_credentials: RoleCredentials


class AttachTaskNetworkInterfacesMessage(_Shape, frozen=True, kw_only=True):
    message_id: str
    cluster_arn: str
    container_instance_arn: str
    task_arn: str
    task_cluster_arn: str
    generated_at: int | None = None
    wait_timeout_ms: int
    elastic_network_interfaces: tuple[NetworkInterface, ...] = ()


class MoorageExecMessage(_Shape, frozen=True, kw_only=True):
    """Open a terminal: an extension of ours, sent only to agents with `moorage.capability.exec`. It is not
    acknowledged; the agent answers by opening the session's own websocket (`link.terminal`)."""

    message_id: str
    cluster_arn: str
    container_instance_arn: str
    session_id: str
    task_arn: str
    container_name: str
    command: tuple[str, ...]


ServerMessage = (
    HeartbeatMessage
    | PayloadMessage
    | TaskManifestMessage
    | TaskStopVerificationAck
    | IAMRoleCredentialsMessage
    | AttachTaskNetworkInterfacesMessage
    | MoorageExecMessage
)

# ---- agent to server ------------------------------------------------------------------------------------------


class HeartbeatAckRequest(_Shape, frozen=True, kw_only=True):
    message_id: str


class AckRequest(_Shape, frozen=True, kw_only=True):
    cluster: str
    container_instance: str
    message_id: str


class NackRequest(_Shape, frozen=True, kw_only=True):
    cluster: str
    container_instance: str
    message_id: str
    reason: str | None = None


class IAMRoleCredentialsAckRequest(_Shape, frozen=True, kw_only=True):
    message_id: str
    credentials_id: str
    expiration: str | None = None


class TaskStopVerificationMessage(_Shape, frozen=True, kw_only=True):
    """Tasks that the agent runs and the manifest of the same message id does not want."""

    message_id: str
    stop_candidates: tuple[TaskIdentifier, ...] = ()


AgentMessage = (
    HeartbeatAckRequest | AckRequest | NackRequest | IAMRoleCredentialsAckRequest | TaskStopVerificationMessage
)
Message = ServerMessage | AgentMessage

# ---- frames ---------------------------------------------------------------------------------------------------

_TYPES: Final[dict[str, type[Message]]] = {
    kind.__name__: kind
    for kind in (
        HeartbeatMessage,
        PayloadMessage,
        TaskManifestMessage,
        TaskStopVerificationAck,
        IAMRoleCredentialsMessage,
        AttachTaskNetworkInterfacesMessage,
        MoorageExecMessage,
        HeartbeatAckRequest,
        AckRequest,
        NackRequest,
        IAMRoleCredentialsAckRequest,
        TaskStopVerificationMessage,
    )
}


class Frame(msgspec.Struct, frozen=True):
    type: str
    message: msgspec.Raw


class BadFrame(ValueError):
    """A frame that is no JSON, or a known message of the wrong shape."""


_frame = msgspec.json.Decoder(Frame)
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}
_encode = msgspec.json.Encoder().encode


def encode(message: Message) -> str:
    """The text frame that carries `message`."""
    return _encode(Frame(type(message).__name__, msgspec.Raw(_encode(message)))).decode()


def decode(text: str | bytes) -> Message | None:
    """The message in a text frame; None where its type is unknown. Raises `BadFrame`."""
    try:
        frame = _frame.decode(text)
        decoder = _decoders.get(frame.type)
        return None if decoder is None else decoder.decode(frame.message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
