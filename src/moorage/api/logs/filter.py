"""Searching the events of a whole group. Source: CloudWatch Logs API, FilterLogEvents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from moorage.api.call import Call, EventLog, Later
from moorage.api.logs.errors import InvalidParameter
from moorage.api.logs.events import PAGE_MAX, PAGE_MAX_BYTES, Place, clamped, place_of
from moorage.api.logs.lookup import TIME_MAX_MS, check_limit, find_stream, identified_group, kept_since_ms, streams_of
from moorage.model.log import EventQuery, LogEvent, LogGroup, LogStream
from moorage.rules.log_pattern import LogPattern, PatternInvalid, parse_pattern

STREAM_NAMES_MAX: Final = 100  # AWS's own number
# What one call looks at before it answers with what it has and a token for the rest: about a second of one worker
# thread with the slowest patterns, so that a rare word in a large group cannot keep one for minutes.
SCAN_MAX_EVENTS: Final = 50_000
SCAN_MAX_BYTES: Final = 4 * 1_048_576
SLICE_EVENTS: Final = 5_000
# Searching backwards is offered by AWS only from this start time on: 2024-01-01T00:00:00Z.
BACKWARD_SINCE_MS: Final = 1_704_067_200_000

Key = tuple[int, int]  # (timestamp in ms, id) of an event


class FilterLogEventsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str | None = None
    log_group_identifier: str | None = None
    log_stream_names: tuple[str, ...] | None = None
    log_stream_name_prefix: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    filter_pattern: str = ""
    start_from_head: bool = True
    limit: int | None = None
    next_token: str | None = None
    interleaved: bool = True  # either value means interleaved, as in AWS since 2019


class FilteredLogEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_stream_name: str
    timestamp: int
    message: str
    ingestion_time: int
    event_id: str


class FilterLogEventsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    events: tuple[FilteredLogEvent, ...]
    searched_log_streams: tuple[()] = ()  # empty since 2020, in AWS as here
    next_token: str | None = None


class _Search(msgspec.Struct, frozen=True):
    """A search as far as it can be prepared on the state's thread."""

    names: Mapping[int, str]  # stream number to name
    pattern: LogPattern
    query: EventQuery
    limit: int


def filter_log_events(call: Call, request: FilterLogEventsRequest) -> Later[FilterLogEventsResponse]:
    limit = check_limit(request.limit, PAGE_MAX)
    place = place_of(request.next_token) if request.next_token is not None else None
    pattern = _pattern(request.filter_pattern)
    if not request.start_from_head and (request.start_time or 0) < BACKWARD_SINCE_MS:
        raise InvalidParameter(
            "startFromHead can be false only with a startTime on or after Jan 1, 2024 00:00:00 UTC."
        )
    group = identified_group(call, request.log_group_name, request.log_group_identifier)
    streams = _streams(call, group, request)
    query = EventQuery(
        start_ms=max(clamped(request.start_time, 0), kept_since_ms(group, call.now_s)),
        end_ms=clamped(request.end_time, TIME_MAX_MS),
        forward=place.forward if place else request.start_from_head,
        limit=SLICE_EVENTS,
        max_bytes=PAGE_MAX_BYTES,
    )
    if place is not None:
        query = _from(query, (place.time_ms, place.id))
    search = _Search({stream.number: stream.name for stream in streams}, pattern, query, limit)
    return Later(lambda: _search(call.events, search))


def _pattern(text: str) -> LogPattern:
    try:
        return parse_pattern(text)
    except PatternInvalid as error:
        raise InvalidParameter(f"Invalid filter pattern: {error}") from error


def _streams(call: Call, group: LogGroup, request: FilterLogEventsRequest) -> Sequence[LogStream]:
    names, prefix = request.log_stream_names, request.log_stream_name_prefix
    if names is not None and prefix is not None:
        raise InvalidParameter("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
    state = call.store.view()
    if names is None:
        return [stream for stream in streams_of(state, group) if stream.name.startswith(prefix or "")]
    if not 1 <= len(names) <= STREAM_NAMES_MAX:
        raise InvalidParameter(f"logStreamNames must name between 1 and {STREAM_NAMES_MAX} log streams.")
    return [find_stream(state, group, name) for name in names]


def _from(query: EventQuery, key: Key) -> EventQuery:
    """The query, carried on behind an event already seen."""
    if query.forward:
        return msgspec.structs.replace(query, after=key)
    return msgspec.structs.replace(query, before=key)


def _search(events: EventLog, search: _Search) -> FilterLogEventsResponse:
    query = search.query
    matched: list[FilteredLogEvent] = []
    seen: Key = (0, 0)
    events_left, bytes_left, room = SCAN_MAX_EVENTS, SCAN_MAX_BYTES, PAGE_MAX_BYTES
    while events_left > 0 and bytes_left > 0:
        found = events.read(list(search.names), query)
        if not found:
            return FilterLogEventsResponse(events=tuple(matched))
        for stream, event in found:
            weight = len(event.message.encode())
            if search.pattern.matches(event.message):
                room -= weight
                if matched and room < 0:
                    return _answer(matched, seen, query.forward)
                matched.append(_out(search.names[stream], event))
            seen = (event.timestamp_ms, event.id)
            bytes_left -= weight
            if len(matched) == search.limit:
                return _answer(matched, seen, query.forward)
        events_left -= len(found)
        query = _from(query, seen)
    return _answer(matched, seen, query.forward)


def _answer(matched: Sequence[FilteredLogEvent], seen: Key, forward: bool) -> FilterLogEventsResponse:
    """A page with more behind it, or perhaps behind it: only an absent token says that this was all."""
    token = Place(forward, *seen).token(forward=forward)
    return FilterLogEventsResponse(events=tuple(matched), next_token=token)


def _out(stream: str, event: LogEvent) -> FilteredLogEvent:
    return FilteredLogEvent(
        log_stream_name=stream,
        timestamp=event.timestamp_ms,
        message=event.message,
        ingestion_time=event.ingested_ms,
        event_id=f"{event.id:056d}",
    )
