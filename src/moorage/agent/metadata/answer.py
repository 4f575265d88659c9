"""What is asked of the endpoint and what it answers, before there is a socket."""

from __future__ import annotations

from typing import Final

import msgspec

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and from where: an address, or the sandbox whose own socket it came in on."""

    method: str
    path: str  # decoded, without the query string
    parameters: dict[str, str] = {}
    source: str = ""  # IPv4
    inside: str = ""  # a sandbox's id
    body: bytes = b""
    forwarded: bool = False  # by another node's agent, which does not know the container


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    content_type: str = JSON


_encode = msgspec.json.Encoder().encode


def told(value: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(status=status, body=_encode(value))


NOT_FOUND: Final = Answer(status=404, body=b"404 page not found\n", content_type=TEXT)
