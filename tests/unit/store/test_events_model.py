"""The event store on disk answers every query as the one in memory does."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from moorage.model.log import EventQuery
from moorage.store.events import EventStore
from moorage.store.events_memory import MemoryEvents
from tests.unit.store.loop import Loop

_STREAM = st.integers(0, 4)
_TIME = st.integers(0, 30)
_CURSOR = st.none() | st.tuples(_TIME, st.integers(-1, 60))
_QUERY = st.builds(
    EventQuery,
    start_ms=_TIME,
    end_ms=_TIME | st.just(1 << 62),
    after=_CURSOR,
    before=_CURSOR,
    forward=st.booleans(),
    limit=st.integers(1, 20),
    max_bytes=st.integers(1, 40),
)


class EventsModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.loop = Loop()
        self.model = MemoryEvents()
        self.events = self._open()

    def _open(self) -> EventStore:
        return EventStore(Path(self.directory.name) / "events.db", self.loop.notify)

    @rule(stream=_STREAM, events=st.lists(st.tuples(_TIME, st.text(min_size=1, max_size=9)), min_size=1, max_size=9))
    def append(self, stream: int, events: list[tuple[int, str]]) -> None:
        self.model.append(stream, events, 7)
        self.events.append(stream, events, 7)

    @rule(streams=st.lists(_STREAM, max_size=2))
    def drop(self, streams: list[int]) -> None:
        self.model.drop(streams)
        self.events.drop(streams)

    @rule(streams=st.lists(_STREAM, max_size=3), before_ms=_TIME)
    def expire(self, streams: list[int], before_ms: int) -> None:
        self.model.expire(streams, before_ms)
        self.events.expire(streams, before_ms)

    @rule(live=st.sets(_STREAM))
    def restart(self, live: set[int]) -> None:
        self.loop.run_until(self.events.idle, poll_s=0.001)
        self.events.close()
        self.events = self._open()
        self.model.sweep(live)
        self.events.sweep(live)

    @rule(streams=st.lists(_STREAM, min_size=1, max_size=6), query=_QUERY)
    def read(self, streams: list[int], query: EventQuery) -> None:
        self.loop.run_until(self.events.idle, poll_s=0.001)
        assert self.events.read(streams, query) == self.model.read(streams, query)
        for stream in streams:
            assert self.events.span(stream) == self.model.span(stream)

    def teardown(self) -> None:
        self.events.close()
        self.directory.cleanup()


TestEventsModel = EventsModel.TestCase
TestEventsModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
