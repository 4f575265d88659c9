"""Finding groups and streams by name or ARN, and the small rules that several operations share."""

from __future__ import annotations

import re
from typing import Final

from moorage.api.call import Call
from moorage.api.logs.errors import GroupNotFound, InvalidParameter, StreamNotFound
from moorage.base.ids import Arn, Scope
from moorage.model.log import LogGroup, LogStream
from moorage.store import State, StateTx
from moorage.store.state import joined

NAME_MAX_CHARS: Final = 512
DAY_MS: Final = 86_400_000
# Times beyond this are nobody's; it keeps a caller's number inside the 64 bits of the store.
TIME_MAX_MS: Final = 1 << 62

_GROUP_NAME = re.compile(r"[.\-_/#A-Za-z0-9]+")
_STREAM_NAME = re.compile(r"[^:*]+")


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def group_arn(scope: Scope, name: str) -> str:
    """Without the `:*` that DescribeLogGroups adds, which stands for the group's streams."""
    return scope.arn("logs", f"log-group:{name}")


def check_group_name(name: str) -> None:
    if len(name) > NAME_MAX_CHARS or not _GROUP_NAME.fullmatch(name):
        raise InvalidParameter(
            f"1 validation error detected: Value '{name[:NAME_MAX_CHARS]}' at 'logGroupName' failed to satisfy"
            rf" constraint: 1 to {NAME_MAX_CHARS} characters matching [\.\-_/#A-Za-z0-9]+"
        )


def check_stream_name(name: str) -> None:
    if len(name) > NAME_MAX_CHARS or not _STREAM_NAME.fullmatch(name):
        raise InvalidParameter(
            f"1 validation error detected: Value '{name[:NAME_MAX_CHARS]}' at 'logStreamName' failed to satisfy"
            f" constraint: 1 to {NAME_MAX_CHARS} characters matching [^:*]*"
        )


def find_group(state: State | StateTx, scope: Scope, name: str) -> LogGroup:
    """The group of that name; refused where there is none."""
    group = state.log_groups.get(joined(*scope, name))
    if group is None:
        raise GroupNotFound
    return group


def identified_group(call: Call, name: str | None, identifier: str | None) -> LogGroup:
    """The group of a request that takes either `logGroupName` or `logGroupIdentifier`, a name or an ARN."""
    if (name is None) == (identifier is None):
        raise InvalidParameter("Exactly one of logGroupName and logGroupIdentifier must be specified.")
    if identifier is not None and identifier.startswith("arn:"):
        return find_group_by_arn(call.store.view(), call.scope, identifier)
    return find_group(call.store.view(), call.scope, name or identifier or "")


def find_group_by_arn(state: State | StateTx, scope: Scope, text: str) -> LogGroup:
    """The group of an ARN, with or without its trailing `:*`."""
    arn = Arn.parse(text)
    if arn is None or arn.service != "logs":
        raise InvalidParameter(f"'{text}' is not the ARN of a log group.")
    kind, _, name = arn.resource.removesuffix(":*").partition(":")
    if kind != "log-group" or (arn.account, arn.region) != scope:
        raise GroupNotFound
    return find_group(state, scope, name)


def find_stream(state: State | StateTx, group: LogGroup, name: str) -> LogStream:
    """The stream of that name; refused where there is none."""
    stream = state.log_streams.get(joined(group.account, group.region, group.name, name))
    if stream is None:
        raise StreamNotFound
    return stream


def streams_of(state: State | StateTx, group: LogGroup) -> list[LogStream]:
    return state.log_streams.by("group", (group.account, group.region, group.name))


def kept_since_ms(group: LogGroup, now_s: float) -> int:
    """The age at which the group's events are no longer shown; the store forgets them a while later."""
    if group.retention_days is None:
        return 0
    return max(0, milliseconds(now_s) - group.retention_days * DAY_MS)


def check_limit(limit: int | None, largest: int) -> int:
    """A page's size; the largest where none is asked for."""
    if limit is None:
        return largest
    if not 1 <= limit <= largest:
        raise InvalidParameter(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            f"Member must have value between 1 and {largest}"
        )
    return limit
