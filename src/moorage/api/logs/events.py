"""Writing log events, and reading one stream. Source: CloudWatch Logs API, PutLogEvents and GetLogEvents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.api.call import Call, EventLog, Later
from moorage.api.logs.errors import InvalidParameter
from moorage.api.logs.lookup import (
    DAY_MS,
    TIME_MAX_MS,
    check_limit,
    find_group,
    find_stream,
    identified_group,
    kept_since_ms,
    milliseconds,
)
from moorage.api.logs.streams import sequence_token
from moorage.model.log import EventQuery, LogEvent, LogGroup

# PutLogEvents' own limits, as the API reference states them.
BATCH_MAX_BYTES: Final = 1_048_576
BATCH_MAX_EVENTS: Final = 10_000
EVENT_OVERHEAD_BYTES: Final = 26
EVENT_MAX_BYTES: Final = 1_048_576
BATCH_SPAN_MAX_MS: Final = DAY_MS
FUTURE_MAX_MS: Final = 2 * 3_600_000
PAST_MAX_MS: Final = 14 * DAY_MS

PAGE_MAX: Final = 10_000
PAGE_MAX_BYTES: Final = 1_048_576


class InputLogEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: int
    message: str


class PutLogEventsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    log_stream_name: str
    log_events: tuple[InputLogEvent, ...]
    sequence_token: str | None = None  # any is right, as in AWS since 2023


class RejectedLogEventsInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Indices into the batch: the first event that was too new, and the ends of those too old and expired."""

    too_new_log_event_start_index: int | None = None
    too_old_log_event_end_index: int | None = None
    expired_log_event_end_index: int | None = None


class PutLogEventsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    next_sequence_token: str
    rejected_log_events_info: RejectedLogEventsInfo | None = None


def put_log_events(call: Call, request: PutLogEventsRequest) -> PutLogEventsResponse:
    group = find_group(call.store.view(), call.scope, request.log_group_name)
    stream = find_stream(call.store.view(), group, request.log_stream_name)
    _check_batch(request.log_events)
    accepted, rejected = _sift(request.log_events, group, call.now_s)
    if accepted:
        if accepted[-1].timestamp - accepted[0].timestamp > BATCH_SPAN_MAX_MS:
            raise InvalidParameter(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
            )
        events = [(event.timestamp, event.message) for event in accepted]
        call.events.append(stream.number, events, milliseconds(call.now_s))
    return PutLogEventsResponse(next_sequence_token=sequence_token(stream), rejected_log_events_info=rejected)


def _check_batch(events: Sequence[InputLogEvent]) -> None:
    if not 1 <= len(events) <= BATCH_MAX_EVENTS:
        raise InvalidParameter(
            f"1 validation error detected: Value at 'logEvents' failed to satisfy constraint: "
            f"Member must have length between 1 and {BATCH_MAX_EVENTS}"
        )
    total = 0
    before = 0
    for event in events:
        total += _event_bytes(event)
        if event.timestamp < before:
            raise InvalidParameter("Log events in a single PutLogEvents request must be in chronological order.")
        before = event.timestamp
    if total > BATCH_MAX_BYTES:
        raise InvalidParameter(f"Upload too large: {total} bytes exceeds limit of {BATCH_MAX_BYTES}")


def _event_bytes(event: InputLogEvent) -> int:
    """What the event counts in its batch; refused where it cannot be kept."""
    try:
        size = len(event.message.encode())
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell
        raise InvalidParameter("Log event message is not valid Unicode.") from error
    if not size:
        raise InvalidParameter("Log event message must not be empty.")
    if event.timestamp < 0:
        raise InvalidParameter("Log event timestamp must not be negative.")
    if size > EVENT_MAX_BYTES:
        raise InvalidParameter(f"Log event too large: {size} bytes exceeds limit of {EVENT_MAX_BYTES}")
    return size + EVENT_OVERHEAD_BYTES


def _sift(
    events: Sequence[InputLogEvent], group: LogGroup, now_s: float
) -> tuple[Sequence[InputLogEvent], RejectedLogEventsInfo | None]:
    """The events inside the time that is accepted, and where those outside stand. The batch is in order of time."""
    now_ms = milliseconds(now_s)
    too_old = _first_from(events, now_ms - PAST_MAX_MS)
    expired = _first_from(events, kept_since_ms(group, now_s))
    too_new = _first_from(events, now_ms + FUTURE_MAX_MS + 1)
    if not too_old and not expired and too_new == len(events):
        return events, None
    return events[max(too_old, expired) : too_new], RejectedLogEventsInfo(
        too_new_log_event_start_index=too_new if too_new < len(events) else None,
        too_old_log_event_end_index=too_old or None,
        expired_log_event_end_index=expired or None,
    )


def _first_from(events: Sequence[InputLogEvent], time_ms: int) -> int:
    return next((index for index, event in enumerate(events) if event.timestamp >= time_ms), len(events))


class GetLogEventsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str | None = None
    log_group_identifier: str | None = None
    log_stream_name: str
    start_time: int | None = None
    end_time: int | None = None
    start_from_head: bool = False
    limit: int | None = None
    next_token: str | None = None


class OutputLogEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: int
    message: str
    ingestion_time: int


class GetLogEventsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    events: tuple[OutputLogEvent, ...]
    next_forward_token: str
    next_backward_token: str


class Place(msgspec.Struct, frozen=True):
    """A place between two events: all before it are smaller than (time_ms, id), all after it are not.

    Both tokens of an empty page name the same place, so that a reader who turns round misses nothing.
    """

    forward: bool
    time_ms: int
    id: int

    def token(self, *, forward: bool) -> str:
        return f"{'f' if forward else 'b'}/{self.time_ms:020d}{self.id:036d}"


_TOKEN = re.compile(r"([fb])/(\d{20})(\d{36})")


def place_of(token: str) -> Place:
    match = _TOKEN.fullmatch(token)
    if match is None or int(match[2]) > TIME_MAX_MS or int(match[3]) > TIME_MAX_MS:
        raise InvalidParameter("The specified nextToken is invalid.")
    return Place(match[1] == "f", int(match[2]), int(match[3]))


def get_log_events(call: Call, request: GetLogEventsRequest) -> Later[GetLogEventsResponse]:
    limit = check_limit(request.limit, PAGE_MAX)
    group = identified_group(call, request.log_group_name, request.log_group_identifier)
    number = find_stream(call.store.view(), group, request.log_stream_name).number
    start_ms = max(clamped(request.start_time, 0), kept_since_ms(group, call.now_s))
    end_ms = clamped(request.end_time, TIME_MAX_MS)
    place = place_of(request.next_token) if request.next_token is not None else None
    if place is None:
        place = Place(request.start_from_head, start_ms, 0) if request.start_from_head else None
    return Later(lambda: _page(call.events, number, place, EventQuery(start_ms=start_ms, end_ms=end_ms, limit=limit)))


def clamped(time_ms: int | None, absent: int) -> int:
    """A caller's time within what the store can compare."""
    return absent if time_ms is None else max(0, min(time_ms, TIME_MAX_MS))


def _page(events: EventLog, stream: int, place: Place | None, query: EventQuery) -> GetLogEventsResponse:
    """The events on one side of a place; without a place, the newest."""
    forward = place is not None and place.forward
    border = None if place is None else (place.time_ms, place.id - 1 if forward else place.id)
    found = events.read(
        [stream],
        msgspec.structs.replace(
            query,
            forward=forward,
            max_bytes=PAGE_MAX_BYTES,
            after=border if forward else None,
            before=None if forward else border,
        ),
    )
    shown = [event for _, event in (found if forward else reversed(found))]
    first = last = place or Place(False, query.start_ms, 0)
    if shown:
        first = Place(False, shown[0].timestamp_ms, shown[0].id)
        last = Place(True, shown[-1].timestamp_ms, shown[-1].id + 1)
    return GetLogEventsResponse(
        events=tuple(map(_out, shown)),
        next_forward_token=last.token(forward=True),
        next_backward_token=first.token(forward=False),
    )


def _out(event: LogEvent) -> OutputLogEvent:
    return OutputLogEvent(timestamp=event.timestamp_ms, message=event.message, ingestion_time=event.ingested_ms)
