"""The telemetry service (TCS): what the agent publishes, and what it is answered.

An agent's frame begins with a signed block of HTTP-style header lines; the JSON envelope follows the first
empty line. A server's frame is the envelope alone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.link.acs import BadFrame, Frame


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case names; absent members are left out."""


class StatsSet(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    """What was seen from look to look. Its members are all required: zeros are sent."""

    min: float = 0.0
    max: float = 0.0
    sum: float = 0.0
    sample_count: int = 0


class CounterSet(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    """What a counter rose by from look to look; what is beyond 63 bits stands apart."""

    min: int = 0
    max: int = 0
    sum: int = 0
    sample_count: int = 0
    overflow_min: int = 0
    overflow_max: int = 0
    overflow_sum: int = 0


class NetworkStatsSet(_Shape, frozen=True, kw_only=True):
    rx_bytes: CounterSet | None = None
    rx_bytes_per_second: StatsSet | None = None
    rx_dropped: CounterSet | None = None
    rx_errors: CounterSet | None = None
    rx_packets: CounterSet | None = None
    tx_bytes: CounterSet | None = None
    tx_bytes_per_second: StatsSet | None = None
    tx_dropped: CounterSet | None = None
    tx_errors: CounterSet | None = None
    tx_packets: CounterSet | None = None


class StorageStatsSet(_Shape, frozen=True, kw_only=True):
    read_size_bytes: CounterSet | None = None
    write_size_bytes: CounterSet | None = None


class RestartStatsSet(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    restart_count: int = 0


class ContainerMetric(_Shape, frozen=True, kw_only=True):
    container_name: str | None = None
    cpu_stats_set: StatsSet | None = None  # per cent of the host
    memory_stats_set: StatsSet | None = None  # MiB
    network_stats_set: NetworkStatsSet | None = None
    storage_stats_set: StorageStatsSet | None = None
    restart_stats_set: RestartStatsSet | None = None


class TaskMetric(_Shape, frozen=True, kw_only=True):
    task_arn: str | None = None
    task_definition_family: str | None = None
    task_definition_version: str | None = None
    container_metrics: tuple[ContainerMetric, ...] = ()


class PublishMetadata(_Shape, frozen=True, kw_only=True):
    """`fin` marks the last message of a round; `idle` one without tasks."""

    cluster: str | None = None
    container_instance: str | None = None
    idle: bool = False
    fin: bool = False
    message_id: str | None = None
    request_id: str | None = None


class PublishMetricsRequest(_Shape, frozen=True, kw_only=True):
    metadata: PublishMetadata = PublishMetadata()
    timestamp: float | None = None
    task_metrics: tuple[TaskMetric, ...] = ()


class ContainerHealth(_Shape, frozen=True, kw_only=True):
    container_name: str | None = None
    health_status: str | None = None
    status_since: float | None = None
    status_message: str | None = None


class TaskHealth(_Shape, frozen=True, kw_only=True):
    task_arn: str | None = None
    task_definition_family: str | None = None
    task_definition_version: str | None = None
    containers: tuple[ContainerHealth, ...] = ()


class PublishHealthRequest(_Shape, frozen=True, kw_only=True):
    metadata: PublishMetadata = PublishMetadata()
    timestamp: float | None = None
    tasks: tuple[TaskHealth, ...] = ()


class InstanceStatus(_Shape, frozen=True, kw_only=True):
    type: str | None = None
    status: str | None = None
    last_updated: float | None = None
    last_status_change: float | None = None
    status_reason: str | None = None


class PublishInstanceStatusRequest(_Shape, frozen=True, kw_only=True):
    metadata: PublishMetadata = PublishMetadata()
    timestamp: float | None = None
    statuses: tuple[InstanceStatus, ...] = ()


class AckPublishMetric(_Shape, frozen=True, kw_only=True):
    message: str = ""


class AckPublishHealth(_Shape, frozen=True, kw_only=True):
    message: str = ""


class AckPublishInstanceStatus(_Shape, frozen=True, kw_only=True):
    message: str = ""


class HeartbeatMessage(_Shape, frozen=True, kw_only=True):
    healthy: bool | None = None  # always sent


class StopTelemetrySessionMessage(_Shape, frozen=True, kw_only=True):
    message: str = ""


AgentMessage = PublishMetricsRequest | PublishHealthRequest | PublishInstanceStatusRequest
ServerMessage = (
    AckPublishMetric | AckPublishHealth | AckPublishInstanceStatus | HeartbeatMessage | StopTelemetrySessionMessage
)
Message = AgentMessage | ServerMessage

_TYPES: Final[dict[str, type[Message]]] = {
    kind.__name__: kind
    for kind in (
        PublishMetricsRequest,
        PublishHealthRequest,
        PublishInstanceStatusRequest,
        AckPublishMetric,
        AckPublishHealth,
        AckPublishInstanceStatus,
        HeartbeatMessage,
        StopTelemetrySessionMessage,
    )
}

_frame = msgspec.json.Decoder(Frame)
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}
_encode = msgspec.json.Encoder().encode


def encode(message: Message) -> str:
    """The envelope of `message`; an agent puts its signed header block before it."""
    return _encode(Frame(type(message).__name__, msgspec.Raw(_encode(message)))).decode()


def decode(text: str) -> Message | None:
    """The message of a frame, with or without a header block; None where its type is unknown. Raises `BadFrame`."""
    if not text.startswith("{"):
        _, found, text = text.partition("\r\n\r\n")
        if not found:
            raise BadFrame("a frame without an empty line after its headers")
    try:
        frame = _frame.decode(text)
        decoder = _decoders.get(frame.type)
        return None if decoder is None else decoder.decode(frame.message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error


def answer(message: AgentMessage) -> ServerMessage:
    """The acknowledgement that each publish needs: the published agent resends what was not acknowledged."""
    if isinstance(message, PublishMetricsRequest):
        return AckPublishMetric(message="ok")
    if isinstance(message, PublishHealthRequest):
        return AckPublishHealth(message="ok")
    return AckPublishInstanceStatus(message="ok")
