"""Log groups. Source: CloudWatch Logs API, CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutRetentionPolicy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from moorage.api.call import Call, EventLog, Later, page
from moorage.api.logs.errors import GroupExists, InvalidParameter
from moorage.api.logs.lookup import (
    check_group_name,
    check_limit,
    find_group,
    group_arn,
    milliseconds,
    streams_of,
)
from moorage.api.logs.tags import checked
from moorage.model.log import LogGroup
from moorage.store.state import joined

PAGE_MAX: Final = 50  # groups; AWS's own number
RETENTION_DAYS: Final = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
)


class CreateLogGroupRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    tags: dict[str, str] | None = None
    log_group_class: Literal["STANDARD"] = "STANDARD"


def create_log_group(call: Call, request: CreateLogGroupRequest) -> None:
    name = request.log_group_name
    check_group_name(name)
    tags = checked(request.tags or {})
    with call.store.update() as tx:
        if joined(*call.scope, name) in tx.log_groups:
            raise GroupExists
        tx.log_groups.put(
            LogGroup(
                account=call.scope.account,
                region=call.scope.region,
                name=name,
                arn=group_arn(call.scope, name),
                created_at=call.now_s,
                tags=tags,
            )
        )


class DeleteLogGroupRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str


def delete_log_group(call: Call, request: DeleteLogGroupRequest) -> None:
    with call.store.update() as tx:
        group = find_group(tx, call.scope, request.log_group_name)
        streams = streams_of(tx, group)
        for stream in streams:
            tx.log_streams.delete(joined(*call.scope, group.name, stream.name))
        tx.log_groups.delete(joined(*call.scope, group.name))
    # Events go only when the deletion itself can no longer be lost.
    call.store.when_durable(lambda: call.events.drop([stream.number for stream in streams]))


class DescribeLogGroupsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name_prefix: str | None = None
    log_group_name_pattern: str | None = None
    log_group_class: Literal["STANDARD"] | None = None
    limit: int | None = None
    next_token: str | None = None


class LogGroupOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    arn: str
    log_group_arn: str
    creation_time: int
    retention_in_days: int | None = None
    metric_filter_count: int = 0
    stored_bytes: int = 0
    log_group_class: str = "STANDARD"


class DescribeLogGroupsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_groups: tuple[LogGroupOut, ...]
    next_token: str | None = None


def describe_log_groups(call: Call, request: DescribeLogGroupsRequest) -> Later[DescribeLogGroupsResponse]:
    prefix, part = request.log_group_name_prefix, request.log_group_name_pattern
    if prefix and part:
        raise InvalidParameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    limit = check_limit(request.limit, PAGE_MAX)
    state = call.store.view()
    by_name = {
        group.name: group
        for group in state.log_groups.by("scope", call.scope)
        if group.name.startswith(prefix or "") and (part or "") in group.name
    }
    try:
        names, following = page(sorted(by_name), request.next_token, limit)
    except ValueError as error:
        raise InvalidParameter("The specified nextToken is invalid.") from error
    chosen = [by_name[name] for name in names]
    numbers = [[stream.number for stream in streams_of(state, group)] for group in chosen]

    def weigh() -> DescribeLogGroupsResponse:
        groups = tuple(_out(group, _weight(call.events, its)) for group, its in zip(chosen, numbers, strict=True))
        return DescribeLogGroupsResponse(log_groups=groups, next_token=following)

    return Later(weigh)


def _weight(events: EventLog, streams: Sequence[int]) -> int:
    spans = (events.span(stream) for stream in streams)
    return sum(span.stored_bytes for span in spans if span is not None)


def _out(group: LogGroup, stored_bytes: int) -> LogGroupOut:
    return LogGroupOut(
        log_group_name=group.name,
        arn=f"{group.arn}:*",
        log_group_arn=group.arn,
        creation_time=milliseconds(group.created_at),
        retention_in_days=group.retention_days,
        stored_bytes=stored_bytes,
    )


class PutRetentionPolicyRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    retention_in_days: int


def put_retention_policy(call: Call, request: PutRetentionPolicyRequest) -> None:
    days = request.retention_in_days
    if days not in RETENTION_DAYS:
        allowed = ", ".join(map(str, sorted(RETENTION_DAYS)))
        raise InvalidParameter(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{allowed}]"
        )
    _set_retention(call, request.log_group_name, days)


class DeleteRetentionPolicyRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str


def delete_retention_policy(call: Call, request: DeleteRetentionPolicyRequest) -> None:
    _set_retention(call, request.log_group_name, None)


def _set_retention(call: Call, name: str, days: int | None) -> None:
    with call.store.update() as tx:
        group = find_group(tx, call.scope, name)
        tx.log_groups.put(msgspec.structs.replace(group, retention_days=days))
