"""A process that dies at any moment loses no event that it acknowledged, and readers never wait for the writer."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

from moorage.model.log import EventQuery
from moorage.store.events import EventStore
from tests.unit.store.loop import Loop


def _append_until_killed(path: Path, acknowledged: multiprocessing.Queue[int]) -> None:
    loop = Loop()
    events = EventStore(path, loop.notify)
    span = events.span(1)
    number = 0 if span is None else span.last_ms + 1
    while True:
        events.append(1, [(number + n, "x" * 100) for n in range(100)], 0)
        number += 100
        loop.run_until(lambda: events.settled)
        acknowledged.put(number)


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        acknowledged: multiprocessing.Queue[int] = context.Queue()
        child = context.Process(target=_append_until_killed, args=(tmp_path / "events.db", acknowledged))
        child.start()
        count = max(acknowledged.get(timeout=20) for _ in range(5))
        child.kill()
        child.join()
        events = EventStore(tmp_path / "events.db", Loop().notify)
        found = events.read([1], EventQuery(limit=1_000_000, max_bytes=1 << 40))
        events.close()
        assert [event.timestamp_ms for _, event in found] == list(range(len(found)))
        assert len(found) >= count
        assert len(found) % 100 == 0  # a batch is there whole or not at all


def test_many_threads_read_while_events_are_written(tmp_path: Path) -> None:
    loop = Loop()
    events = EventStore(tmp_path / "events.db", loop.notify)
    seen: list[list[int]] = []

    def read() -> None:
        while not seen or len(seen[-1]) < 50:
            found = events.read(range(4), EventQuery(limit=1_000))
            times = [event.timestamp_ms for _, event in found]
            assert times == sorted(times)
            seen.append(times)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for number in range(50):
        events.append(number % 4, [(number, "x")], 0)
        loop.run_until(lambda: events.settled)
    for reader in readers:
        reader.join(timeout=20)
        assert not reader.is_alive()
    events.close()
