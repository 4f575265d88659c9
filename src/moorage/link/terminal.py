"""The messages of a terminal between control plane and node: an extension of Moorage's own, for ECS Exec.

A `MoorageExecMessage` on the ACS connection (`link.acs`) tells an agent of a session; the agent opens a websocket for
it at `/exec/ws`, signed as its other connections are. Bytes of the terminal go over it as binary messages in both
directions, everything else as text in the envelope that ACS has. The socket's end is the session's, on either side.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.link.acs import BadFrame, Frame


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Camel-case names, as in the rest of the protocol."""


class StartTerminal(_Shape, frozen=True, kw_only=True):
    """Server to agent, once: run the command, in a terminal of this size."""

    cols: int
    rows: int


class ResizeTerminal(_Shape, frozen=True, kw_only=True):
    """Server to agent."""

    cols: int
    rows: int


class TerminalEnded(_Shape, frozen=True, kw_only=True):
    """Agent to server, last. Without `exit_code` the command never ran, or was ended; `reason` says why."""

    exit_code: int | None
    reason: str


Message = StartTerminal | ResizeTerminal | TerminalEnded

_encode = msgspec.json.Encoder().encode
_frame = msgspec.json.Decoder(Frame)
_decoders: Final[dict[str, msgspec.json.Decoder[Message]]] = {
    kind.__name__: msgspec.json.Decoder(kind) for kind in (StartTerminal, ResizeTerminal, TerminalEnded)
}


def encode(message: Message) -> str:
    """The text message that carries `message`."""
    return _encode(Frame(type(message).__name__, msgspec.Raw(_encode(message)))).decode()


def decode(text: str) -> Message | None:
    """The message in a text; None where its type is unknown. Raises `BadFrame`."""
    try:
        frame = _frame.decode(text)
        decoder = _decoders.get(frame.type)
        return None if decoder is None else decoder.decode(frame.message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
