"""How a websocket is refused: a body with one key, the exception's name; also legal as an unframed text frame."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

RefusalName = Literal[
    "ServerException",
    "BadRequestException",
    "InvalidClusterException",
    "InvalidInstanceException",
    "AccessDeniedException",
    "InactiveInstanceException",
]

BODY_MAX_BYTES: Final = 1024  # the published agent reads no more of it


class Refusal(msgspec.Struct, frozen=True):
    """Why a connection is not taken, or no longer. InactiveInstanceException makes the published agent wait an hour
    before it comes back; after the others it backs off by seconds."""

    name: RefusalName
    text: str

    @property
    def status(self) -> int:
        """The HTTP status at the handshake."""
        return 500 if self.name == "ServerException" else 403 if self.name == "AccessDeniedException" else 400

    def body(self) -> bytes:
        """The single-key object, short enough for the agent to read whole."""
        # Six bytes a character is JSON's worst case (\\u001f), the rest is for the name and the punctuation.
        return msgspec.json.encode({self.name: self.text[: (BODY_MAX_BYTES - 64) // 6]})


def parse(body: bytes | str) -> tuple[str, str] | None:
    """(name, text) of a refusal; None where `body` is none."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return next(iter(fields.items())) if len(fields) == 1 else None
