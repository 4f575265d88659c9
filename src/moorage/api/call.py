"""What an operation is handed besides its request: who calls, from where, when, and the door to the state."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from moorage.base.dice import Dice
from moorage.base.errors import Refused
from moorage.base.ids import AccountId, Region, Scope
from moorage.model.log import EventQuery, LogEvent, StreamSpan
from moorage.store import Store

T = TypeVar("T")


class EventLog(Protocol):
    """The bulk store of log events, as operations see it. Streams are known by number; see `model.log`.

    `append` may be called from the thread of the state; what it took is durable when the answer leaves, as with
    every write. The reading calls are slow and are made only inside a `Later`.
    """

    def append(self, stream: int, events: Sequence[tuple[int, str]], ingested_ms: int) -> None:
        """Add (timestamp in ms, message) pairs to a stream."""
        ...

    def read(self, streams: Sequence[int], query: EventQuery) -> list[tuple[int, LogEvent]]:
        """(stream, event) pairs in the order of the query."""
        ...

    def span(self, stream: int) -> StreamSpan | None:
        """First and last event of a stream; None for an empty one."""
        ...

    def drop(self, streams: Sequence[int]) -> None:
        """Forget all events of those streams."""
        ...

    def expire(self, streams: Sequence[int], before_ms: int) -> None:
        """Forget the events of those streams that are older."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """What the operator chose once for the whole installation."""

    account: AccountId
    regions: tuple[Region, ...]
    endpoint: str  # where agents are told to connect, "http://host:port"
    zones: tuple[str, ...] = ("a", "b", "c")  # letters after the region's name


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one operation."""

    store: Store
    events: EventLog
    installation: Installation
    dice: Dice
    now_s: float
    scope: Scope  # account and region of the caller's credentials
    principal_arn: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Later(Generic[T]):
    """The rest of an answer that reads bulk data: run off the state's thread. `work` must not touch the state."""

    work: Callable[[], T]


Operation = Callable[[Call, Any], "msgspec.Struct | Later[Any] | None"]
"""`def run_task(call: Call, request: RunTask) -> RunTaskAnswer`: the annotation of `request` names the struct that
lists every member the operation understands, under their wire names. A modelled member that is not in it is refused
by the router before the call, so that no parameter is ever accepted and ignored."""


class NotSupported(Refused):
    """A modelled operation or parameter that is not built yet."""

    code = "UnsupportedOperation"


# A page token is opaque to clients; ours is the key after which the page begins, in base 16.
TOKEN_MAX_CHARS: Final = 1024


def page(keys: Sequence[str], token: str | None, size: int) -> tuple[Sequence[str], str | None]:
    """The page of sorted `keys` that follows `token`, and the token of the next page.

    Raises ValueError for a token that this function did not give out.
    """
    start = bisect_right(keys, key_of(token)) if token else 0
    return cut(keys[start : start + size + 1], size)


def cut(keys: Sequence[str], size: int) -> tuple[Sequence[str], str | None]:
    """The first `size` keys, and the token of the next page where there are more."""
    return keys[:size], token_after(keys[size - 1]) if len(keys) > size else None


def token_after(key: str) -> str:
    """The token of the page that begins after `key`."""
    return key.encode().hex()


def key_of(token: str) -> str:
    """The key after which the page of a token begins. Raises ValueError for what is no token."""
    if len(token) > TOKEN_MAX_CHARS:
        raise ValueError("token too long")
    return bytes.fromhex(token).decode()
