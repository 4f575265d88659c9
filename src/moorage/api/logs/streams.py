"""Log streams. Source: CloudWatch Logs API, CreateLogStream, DeleteLogStream, DescribeLogStreams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from moorage.api.call import Call, EventLog, Later
from moorage.api.logs.errors import InvalidParameter, StreamExists
from moorage.api.logs.lookup import (
    check_limit,
    check_stream_name,
    find_group,
    find_stream,
    identified_group,
    milliseconds,
    streams_of,
)
from moorage.model.log import LogStream, StreamSpan
from moorage.store.state import joined

PAGE_MAX: Final = 50  # streams; AWS's own number
# A number names a stream in the event store for ever, across groups. Drawn at random it needs no counter in the
# state; among a hundred million streams the odds that two share one are below one in eight hundred.
NUMBER_BITS: Final = 62

Position = tuple[int, str]
"""Where a stream stands in a listing: its last event's time (0 where names alone decide), then its name."""


class CreateLogStreamRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    log_stream_name: str


def create_log_stream(call: Call, request: CreateLogStreamRequest) -> None:
    name = request.log_stream_name
    check_stream_name(name)
    with call.store.update() as tx:
        group = find_group(tx, call.scope, request.log_group_name)
        if joined(*call.scope, group.name, name) in tx.log_streams:
            raise StreamExists
        tx.log_streams.put(
            LogStream(
                account=group.account,
                region=group.region,
                group=group.name,
                name=name,
                arn=f"{group.arn}:log-stream:{name}",
                number=call.dice.bits(NUMBER_BITS),
                created_at=call.now_s,
            )
        )


class DeleteLogStreamRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    log_stream_name: str


def delete_log_stream(call: Call, request: DeleteLogStreamRequest) -> None:
    with call.store.update() as tx:
        stream = find_stream(tx, find_group(tx, call.scope, request.log_group_name), request.log_stream_name)
        tx.log_streams.delete(joined(*call.scope, stream.group, stream.name))
    # Events go only when the deletion itself can no longer be lost.
    call.store.when_durable(lambda: call.events.drop([stream.number]))


class DescribeLogStreamsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str | None = None
    log_group_identifier: str | None = None
    log_stream_name_prefix: str | None = None
    order_by: Literal["LogStreamName", "LastEventTime"] = "LogStreamName"
    descending: bool = False
    limit: int | None = None
    next_token: str | None = None


class LogStreamOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`stored_bytes` is always 0, as in AWS since 2019; the group tells what it holds."""

    log_stream_name: str
    arn: str
    creation_time: int
    first_event_timestamp: int | None = None
    last_event_timestamp: int | None = None
    last_ingestion_time: int | None = None
    upload_sequence_token: str
    stored_bytes: int = 0


class DescribeLogStreamsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_streams: tuple[LogStreamOut, ...]
    next_token: str | None = None


def describe_log_streams(call: Call, request: DescribeLogStreamsRequest) -> Later[DescribeLogStreamsResponse]:
    limit = check_limit(request.limit, PAGE_MAX)
    by_time = request.order_by == "LastEventTime"
    prefix = request.log_stream_name_prefix
    if by_time and prefix:
        raise InvalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
    after = _position(request.next_token)
    group = identified_group(call, request.log_group_name, request.log_group_identifier)
    streams = [one for one in streams_of(call.store.view(), group) if one.name.startswith(prefix or "")]

    def work() -> DescribeLogStreamsResponse:
        last = _last_events(call.events, streams) if by_time else {}
        places = {(last.get(one.number, 0), one.name): one for one in streams}
        order = sorted(places, reverse=request.descending)
        if after is not None:
            order = [place for place in order if (place < after if request.descending else place > after)]
        chosen = order[:limit]
        return DescribeLogStreamsResponse(
            log_streams=tuple(_out(places[place], call.events.span(places[place].number)) for place in chosen),
            next_token=_token(chosen[-1]) if len(order) > limit else None,
        )

    return Later(work)


def _last_events(events: EventLog, streams: Sequence[LogStream]) -> dict[int, int]:
    spans = ((stream.number, events.span(stream.number)) for stream in streams)
    return {number: span.last_ms for number, span in spans if span is not None}


def _token(place: Position) -> str:
    return msgspec.json.encode(place).hex()


def _position(token: str | None) -> Position | None:
    if token is None:
        return None
    try:
        time_ms, name = msgspec.json.decode(bytes.fromhex(token), type=tuple[int, str])
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidParameter("The specified nextToken is invalid.") from error
    return time_ms, name


def _out(stream: LogStream, span: StreamSpan | None) -> LogStreamOut:
    return LogStreamOut(
        log_stream_name=stream.name,
        arn=stream.arn,
        creation_time=milliseconds(stream.created_at),
        first_event_timestamp=span.first_ms if span else None,
        last_event_timestamp=span.last_ms if span else None,
        last_ingestion_time=span.last_ingested_ms if span else None,
        upload_sequence_token=sequence_token(stream),
    )


def sequence_token(stream: LogStream) -> str:
    """Sequence tokens are accepted unseen since 2023, and still told; one for the stream's whole life will do."""
    return f"{stream.number:056d}"
