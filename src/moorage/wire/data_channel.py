"""The frames of a Session Manager data channel: what an ECS Exec client speaks at a session's stream URL.

The first message is text and carries the token; all others are binary, one frame each, numbers big-endian:

    0 header length (116) · 4 message type, space padded · 36 schema version · 40 created, ms · 48 sequence number ·
    56 flags · 64 message id · 80 SHA-256 of the payload · 112 payload type · 116 payload length · 120 payload

Source: https://github.com/aws/session-manager-plugin, whose client this answers.
"""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum
from typing import Final, Literal
from uuid import UUID

import msgspec

Kind = Literal[
    "input_stream_data",
    "output_stream_data",
    "acknowledge",
    "channel_closed",
    "start_publication",
    "pause_publication",
]

SYN: Final = 1
FIN: Final = 2
SCHEMA: Final = 1

_HEADER: Final = struct.Struct(">I32sIQQQ16s32sII")
_HEADER_LENGTH: Final = 116  # what the first field says: all before the payload's length
assert _HEADER.size == _HEADER_LENGTH + 4
# Clients send a kilobyte at a time and the published agent as much; this leaves room for any of them to change.
PAYLOAD_MAX_BYTES: Final = 64 * 1024


class PayloadType(IntEnum):
    """What a stream message's payload is. Others exist, and are acknowledged unread."""

    OUTPUT = 1  # bytes of the terminal, in both directions
    ERROR = 2
    SIZE = 3
    PARAMETER = 4
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    FLAG = 10
    STDERR = 11
    EXIT_CODE = 12  # decimal digits


class BadFrame(ValueError):
    """What arrived is no frame of a data channel, or not whole."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    kind: str  # a `Kind`, or one that is not known here
    id: str  # a UUID
    created_ms: int
    sequence: int = 0
    flags: int = 0
    payload_type: int = 0
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The binary message that carries `frame`."""
    raw = UUID(frame.id).bytes
    header = _HEADER.pack(
        _HEADER_LENGTH,
        frame.kind.encode("ascii").ljust(32),
        SCHEMA,
        frame.created_ms,
        frame.sequence,
        frame.flags,
        raw[8:] + raw[:8],  # the low half comes first
        hashlib.sha256(frame.payload).digest(),
        frame.payload_type,
        len(frame.payload),
    )
    return header + frame.payload


def decode(data: bytes) -> Frame:
    """The frame in a binary message. Raises `BadFrame`."""
    if len(data) < _HEADER.size:
        raise BadFrame(f"{len(data)} bytes are no frame")
    length, kind, _schema, created_ms, sequence, flags, raw, digest, payload_type, payload_length = (
        _HEADER.unpack_from(data)
    )
    payload = data[_HEADER.size :]
    if length != _HEADER_LENGTH:
        raise BadFrame(f"a header of {length} bytes")
    if len(payload) != payload_length or payload_length > PAYLOAD_MAX_BYTES:
        raise BadFrame(f"{len(payload)} bytes of payload where {payload_length} were announced")
    if hashlib.sha256(payload).digest() != digest:
        raise BadFrame("the payload's digest is another")
    try:
        name = kind.decode("ascii").rstrip(" \0")
    except UnicodeDecodeError as error:
        raise BadFrame("a message type that is not ASCII") from error
    return Frame(
        kind=name,
        id=str(UUID(bytes=raw[8:] + raw[:8])),
        created_ms=created_ms,
        sequence=sequence,
        flags=flags,
        payload_type=payload_type,
        payload=payload,
    )


class _Pascal(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Names as the published client writes and reads them."""


class OpenDataChannel(_Pascal, frozen=True, kw_only=True):
    """The first message. `wants_exit_code` is ours: the published client would print the code as output."""

    message_schema_version: str | None = None  # always sent
    request_id: str | None = None
    token_value: str
    client_id: str | None = None
    client_version: str | None = None
    wants_exit_code: bool = msgspec.field(name="MoorageWantsExitCode", default=False)


class Acknowledge(_Pascal, frozen=True, kw_only=True):
    acknowledged_message_type: str
    acknowledged_message_id: str
    acknowledged_message_sequence_number: int
    is_sequential_message: bool


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Of the caller's terminal, in characters."""

    cols: int
    rows: int


class ChannelClosed(_Pascal, frozen=True, kw_only=True):
    """The last message; `output` is why, where there is more to say than that it is over."""

    message_id: str
    created_date: str
    destination_id: str
    session_id: str
    message_type: str
    schema_version: int
    output: str | None = None


class _SessionType(_Pascal, frozen=True, kw_only=True):
    session_type: str
    properties: dict[str, str]


class ClientAction(_Pascal, frozen=True, kw_only=True):
    action_type: str
    action_parameters: _SessionType


class HandshakeRequest(_Pascal, frozen=True, kw_only=True):
    agent_version: str
    requested_client_actions: tuple[ClientAction, ...]


class ProcessedAction(_Pascal, frozen=True, kw_only=True):
    action_type: str
    action_status: int | None = None  # 1: success


class HandshakeResponse(_Pascal, frozen=True, kw_only=True):
    client_version: str
    processed_client_actions: tuple[ProcessedAction, ...] = ()
    errors: tuple[str, ...] | None = None


class HandshakeComplete(_Pascal, frozen=True, kw_only=True):
    handshake_time_to_complete: int | None = None  # nanoseconds
    customer_message: str | None = None


_INTERACTIVE: Final = ClientAction(
    action_type="SessionType", action_parameters=_SessionType(session_type="InteractiveCommands", properties={})
)


def handshake_request(version: str) -> bytes:
    """The payload that asks a client to be a terminal."""
    return msgspec.json.encode(HandshakeRequest(agent_version=version, requested_client_actions=(_INTERACTIVE,)))
