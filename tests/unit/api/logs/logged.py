"""A call into an installation with an event log, and the few steps that most tests of Logs begin with."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from moorage.api.call import Call, Later
from moorage.api.logs.events import (
    GetLogEventsRequest,
    GetLogEventsResponse,
    InputLogEvent,
    PutLogEventsRequest,
    PutLogEventsResponse,
    get_log_events,
    put_log_events,
)
from moorage.api.logs.groups import CreateLogGroupRequest, create_log_group
from moorage.api.logs.streams import CreateLogStreamRequest, create_log_stream
from moorage.store.events_memory import MemoryEvents
from tests.unit.support import NOW_S, make_call

T = TypeVar("T")

NOW_MS = int(NOW_S * 1000)
GROUP = "/ecs/web"
STREAM = "app/web/1"


def a_call(*streams: str) -> Call:
    """A call where `GROUP` exists with these streams."""
    call = dataclasses.replace(make_call(), events=MemoryEvents())
    create_log_group(call, CreateLogGroupRequest(log_group_name=GROUP))
    for stream in streams:
        add_stream(call, stream)
    return call


def add_stream(call: Call, stream: str, group: str = GROUP) -> None:
    create_log_stream(call, CreateLogStreamRequest(log_group_name=group, log_stream_name=stream))


def put(call: Call, *events: tuple[int, str], stream: str = STREAM) -> PutLogEventsResponse:
    """Write events whose times are milliseconds from now."""
    batch = tuple(InputLogEvent(timestamp=NOW_MS + offset_ms, message=message) for offset_ms, message in events)
    return put_log_events(call, PutLogEventsRequest(log_group_name=GROUP, log_stream_name=stream, log_events=batch))


def get(
    call: Call, *, limit: int | None = None, token: str | None = None, head: bool = False, start: int | None = None
) -> GetLogEventsResponse:
    request = GetLogEventsRequest(
        log_group_name=GROUP,
        log_stream_name=STREAM,
        limit=limit,
        next_token=token,
        start_from_head=head,
        start_time=start,
    )
    return done(get_log_events(call, request))


def messages(answer: GetLogEventsResponse) -> list[str]:
    return [event.message for event in answer.events]


def done(later: Later[T]) -> T:
    """What a worker thread would do."""
    return later.work()
