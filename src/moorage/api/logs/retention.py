"""Forgetting what is older than its group's retention, and what belongs to no stream any more.

Readers never see an expired event, for every read begins at the retention's edge; this is about the disk.
"""

from __future__ import annotations

from moorage.api.call import EventLog
from moorage.api.logs.lookup import kept_since_ms, streams_of
from moorage.store import State


def expire_old_events(state: State, events: EventLog, now_s: float) -> None:
    """Tell the event store what every group's retention has passed. To be run now and then, about hourly."""
    for group in state.log_groups:
        if group.retention_days is not None:
            streams = [stream.number for stream in streams_of(state, group)]
            events.expire(streams, kept_since_ms(group, now_s))


def live_streams(state: State) -> set[int]:
    """The streams that exist: what the event store may keep when it is swept at start."""
    return {stream.number for stream in state.log_streams}
