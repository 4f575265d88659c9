"""One end of a data channel's stream: what is sent is kept until it is acknowledged, what arrives is put in order.

Over one TCP connection nothing is lost on the way. Frames are sent again all the same, because the published client
drops, unacknowledged, what it is not ready for; and so does this one where its owner has no room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from moorage.wire.data_channel import FIN, SYN, Acknowledge, BadFrame, Frame, decode, encode

# Unacknowledged messages: with PIECE_MAX_BYTES a quarter of a megabyte, enough for a fast line across an ocean.
WINDOW: Final = 64
# Of what is sent in one message; small, so that a keystroke's echo never waits long behind a flood.
PIECE_MAX_BYTES: Final = 4096
# The published agent waits 0.2 to 1 s; this is its longer one, doubled each time up to the bound.
RESEND_AFTER_S: Final = 1.0
RESEND_AFTER_MAX_S: Final = 8.0


class _Sent(msgspec.Struct):
    data: bytes
    again_s: float
    wait_s: float


class DataStream:
    """Without a socket: `receive` what came, put `take` on the wire, call `resend` when `due_s` has come."""

    def __init__(self, sends: Literal["input_stream_data", "output_stream_data"], new_id: Callable[[], str]) -> None:
        self._sends = sends
        self._hears = "input_stream_data" if sends == "output_stream_data" else "output_stream_data"
        self._new_id = new_id
        self._next = 0
        self._expected = 0
        self._unacknowledged: dict[int, _Sent] = {}  # by sequence number, oldest first
        self._out: list[bytes] = []

    @property
    def room(self) -> int:
        """How many more messages may be sent before one is acknowledged."""
        return max(0, WINDOW - len(self._unacknowledged))

    @property
    def settled(self) -> bool:
        """Whether the other end has acknowledged everything."""
        return not self._unacknowledged

    @property
    def due_s(self) -> float | None:
        """When to send again what is unacknowledged."""
        return min((sent.again_s for sent in self._unacknowledged.values()), default=None)

    def send(self, payload_type: int, payload: bytes, now_s: float, now_ms: int) -> None:
        """Put one message into the stream; `now_s` is steady, `now_ms` the hour."""
        frame = Frame(
            kind=self._sends,
            id=self._new_id(),
            created_ms=now_ms,
            sequence=self._next,
            flags=SYN if self._next == 0 else 0,
            payload_type=payload_type,
            payload=payload,
        )
        data = encode(frame)
        self._unacknowledged[self._next] = _Sent(data, now_s + RESEND_AFTER_S, RESEND_AFTER_S)
        self._next += 1
        self._out.append(data)

    def say(self, kind: Literal["channel_closed"], payload: bytes, now_ms: int) -> None:
        """Send a message that is not of the stream."""
        self._out.append(encode(Frame(kind=kind, id=self._new_id(), created_ms=now_ms, payload=payload)))

    def receive(self, data: bytes, now_ms: int, *, accept: bool = True) -> Frame | None:
        """What is to be done about a binary message: the next frame of the stream, or one that is not of it.

        None: nothing. Without `accept` the stream's next frame is dropped, to come again. Raises `BadFrame`.
        """
        frame = decode(data)
        if frame.kind == "acknowledge":
            self._acknowledged(frame)
            return None
        if frame.kind != self._hears:
            return frame
        if frame.sequence > self._expected or (frame.sequence == self._expected and not accept):
            return None  # not in its turn, or no room for it: the other end sends it again
        self._acknowledge(frame, now_ms)
        if frame.sequence < self._expected:
            return None  # its acknowledgement crossed it
        self._expected += 1
        return frame

    def take(self) -> list[bytes]:
        """The messages to put on the wire, in order."""
        out, self._out = self._out, []
        return out

    def resend(self, now_s: float) -> None:
        """Send again what has waited for its acknowledgement long enough."""
        for sent in self._unacknowledged.values():
            if sent.again_s <= now_s:
                sent.wait_s = min(sent.wait_s * 2, RESEND_AFTER_MAX_S)
                sent.again_s = now_s + sent.wait_s
                self._out.append(sent.data)

    def _acknowledge(self, frame: Frame, now_ms: int) -> None:
        told = Acknowledge(
            acknowledged_message_type=frame.kind,
            acknowledged_message_id=frame.id,
            acknowledged_message_sequence_number=frame.sequence,
            is_sequential_message=True,
        )
        answer = Frame(
            kind="acknowledge",
            id=self._new_id(),
            created_ms=now_ms,
            flags=SYN | FIN,
            payload=msgspec.json.encode(told),
        )
        self._out.append(encode(answer))

    def _acknowledged(self, frame: Frame) -> None:
        try:
            told = msgspec.json.decode(frame.payload, type=Acknowledge)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadFrame(f"an acknowledgement that cannot be read: {error}") from error
        self._unacknowledged.pop(told.acknowledged_message_sequence_number, None)
