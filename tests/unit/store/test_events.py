"""The event store on a real file: durability, pages, forgetting, and disks that refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.model.log import EventQuery, LogEvent
from moorage.store import Stalled
from moorage.store.events import EventStore
from tests.unit.store.loop import Loop
from tests.unit.store.test_sqlite_journal import file_size_limit


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def events(tmp_path: Path, loop: Loop) -> Iterator[EventStore]:
    store = EventStore(tmp_path / "events.db", loop.notify)
    yield store
    store.close()


def _messages(found: list[tuple[int, LogEvent]]) -> list[str]:
    return [event.message for _, event in found]


def test_what_was_durable_is_there_after_reopening_and_ids_never_come_again(tmp_path: Path, loop: Loop) -> None:
    store = EventStore(tmp_path / "events.db", loop.notify)
    store.append(1, [(10, "a"), (20, "b")], 30)
    told: list[str] = []
    store.when_durable(lambda: told.append("durable"))
    assert not told
    loop.run_until(lambda: bool(told))
    store.drop([1])
    loop.run_until(store.idle)
    store.close()
    store = EventStore(tmp_path / "events.db", loop.notify)
    store.append(1, [(5, "c")], 40)
    loop.run_until(lambda: store.settled)
    (found,) = store.read([1], EventQuery())
    assert found[1] == LogEvent(timestamp_ms=5, message="c", ingested_ms=40, id=3)
    store.close()


def test_a_page_ends_before_it_outgrows_its_bytes_but_is_never_empty_for_that(events: EventStore, loop: Loop) -> None:
    events.append(1, [(1, "x" * 100), (2, "ü" * 50), (3, "z")], 0)
    loop.run_until(lambda: events.settled)
    assert len(events.read([1], EventQuery(max_bytes=200))) == 2
    assert len(events.read([1], EventQuery(max_bytes=199))) == 1
    assert len(events.read([1], EventQuery(max_bytes=1))) == 1


def test_many_streams_are_merged_in_order_of_time(events: EventStore, loop: Loop) -> None:
    for number in range(300):
        events.append(number % 30, [(1000 - number, f"m{number}")], 0)
    loop.run_until(lambda: events.settled)
    found = events.read(range(30), EventQuery(limit=1000))
    assert _messages(found) == [f"m{number}" for number in reversed(range(300))]
    backwards = events.read(range(30), EventQuery(limit=1000, forward=False))
    assert backwards == found[::-1]


def test_the_span_of_a_stream_follows_what_is_added_and_forgotten(events: EventStore, loop: Loop) -> None:
    events.append(1, [(10, "aa"), (20, "bb")], 100)
    events.append(1, [(5, "é")], 90)
    loop.run_until(lambda: events.settled)
    span = events.span(1)
    assert span is not None
    assert (span.first_ms, span.last_ms, span.last_ingested_ms, span.stored_bytes) == (5, 20, 100, 6)
    events.expire([1], 10)
    loop.run_until(events.idle)
    span = events.span(1)
    assert span is not None
    assert (span.first_ms, span.last_ms, span.stored_bytes) == (10, 20, 4)
    events.drop([1])
    loop.run_until(events.idle)
    assert events.span(1) is None


def test_a_large_drop_gives_its_room_back_to_the_disk(tmp_path: Path, loop: Loop) -> None:
    store = EventStore(tmp_path / "events.db", loop.notify)
    for _ in range(30):
        store.append(1, [(n, "x" * 200) for n in range(1000)], 0)
    store.append(2, [(1, "stays")], 0)
    loop.run_until(lambda: store.settled)
    store.drop([1])
    loop.run_until(store.idle)
    assert _messages(store.read([1, 2], EventQuery())) == ["stays"]
    store.close()
    assert (tmp_path / "events.db").stat().st_size < 2_000_000


def test_a_sweep_forgets_streams_that_nobody_knows_any_more(events: EventStore, loop: Loop) -> None:
    events.append(1, [(1, "orphan")], 0)
    events.append(2, [(1, "alive")], 0)
    loop.run_until(lambda: events.settled)
    events.sweep({2, 3})
    loop.run_until(events.idle)
    assert events.span(1) is None
    assert _messages(events.read([1, 2], EventQuery())) == ["alive"]


def test_a_disk_that_refuses_stalls_appending_and_loses_nothing(events: EventStore, loop: Loop) -> None:
    with file_size_limit(256 * 1024):
        for n in range(20):
            events.append(n, [(1, "x" * 50_000)], 0)
        loop.run_until(lambda: events.stall_reason is not None)
        with pytest.raises(Stalled, match="cannot be written"):
            events.append(1, [(1, "no")], 0)
    loop.run_until(lambda: events.settled and events.stall_reason is None)
    assert len(events.read(range(20), EventQuery(max_bytes=1 << 30))) == 20


def test_appending_faster_than_the_disk_is_refused_before_memory_runs_out(events: EventStore, loop: Loop) -> None:
    with file_size_limit(1024):
        events.append(0, [(1, "first")], 0)
        loop.run_until(lambda: events.stall_reason is not None)
        events.stall_reason = None  # as if the word had not come yet
        events.append(1, [(n, "x" * 1_000_000) for n in range(60)], 0)
        with pytest.raises(Stalled, match="faster than the disk"):
            events.append(1, [(n, "x" * 1_000_000) for n in range(60)], 0)
    loop.run_until(lambda: events.settled)


def test_the_file_is_for_its_owner_only(events: EventStore, tmp_path: Path) -> None:
    assert events.settled
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_requests_to_forget_that_wait_together_are_all_honoured(events: EventStore, loop: Loop) -> None:
    with file_size_limit(1024):
        events.append(1, [(n, "x") for n in range(10)], 0)
        loop.run_until(lambda: events.stall_reason is not None)
        for before_ms in (9, 3, 2, 5):
            events.expire([1], before_ms)
    loop.run_until(events.idle)
    assert [event.timestamp_ms for _, event in events.read([1], EventQuery())] == [9]
