"""How log events lie in SQLite, and every statement that touches them.

`events` is clustered by (stream, timestamp, id), so that a page of one stream is one walk along neighbouring pages.
`spans` keeps, for each stream, what would otherwise cost two walks: its ends and its weight. The last id given out
is kept apart, because ids must not come again after the newest events were dropped.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from moorage.base.errors import Unavailable
from moorage.model.log import EventQuery, LogEvent, StreamSpan

FORMAT: Final = 1
NEVER_MS: Final = 1 << 62  # later than any event
# The writer's cache: the pages at which the streams of a few thousand containers are growing.
WRITER_CACHE_KIB: Final = 16 * 1024
# Room is given back to the file system once a quarter of the file is empty; below that it is soon used again.
GIVE_BACK_SHARE: Final = 4
GIVE_BACK_MIN_PAGES: Final = 256
# Pages given back at a time, 8 MiB: more than one slice of deletions can empty, so that it keeps pace.
GIVE_BACK_PAGES: Final = 2_000
# Keys fetched at once from each of several streams: enough to spare statements, little enough to hold for
# thousands of streams. Only keys are held; a message is fetched when its turn has come.
KEYS_MAX: Final = 256
KEYS_MIN: Final = 16
KEYS_TOGETHER: Final = 16_384

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    stream INTEGER NOT NULL, ts INTEGER NOT NULL, id INTEGER NOT NULL,
    ingested INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (stream, ts, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spans (
    stream INTEGER PRIMARY KEY, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,
    last_ingested INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS next_id (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO next_id VALUES (1, 1);
"""

_INSERT = "INSERT INTO events (stream, ts, id, ingested, message) VALUES (?, ?, ?, ?, ?)"
_WIDEN = """
INSERT INTO spans (stream, first_ts, last_ts, last_ingested, bytes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (stream) DO UPDATE SET
    first_ts = min(first_ts, excluded.first_ts), last_ts = max(last_ts, excluded.last_ts),
    last_ingested = max(last_ingested, excluded.last_ingested), bytes = bytes + excluded.bytes
"""
_IN_RANGE = "stream = ? AND (ts, id) > (?, ?) AND (ts, id) < (?, ?)"

Key = tuple[int, int]


class Batch(NamedTuple):
    """The events of one append; the first has `first_id`, each next one more."""

    seq: int
    stream: int
    first_id: int
    events: Sequence[tuple[int, str]]
    ingested_ms: int


def prepare(connection: sqlite3.Connection) -> None:
    """Make a connection the writer's, and the file what this code expects."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # must come before the first table
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise Unavailable(f"the log events were written by a newer Moorage (format {found}, this one reads {FORMAT})")
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def next_id(connection: sqlite3.Connection) -> int:
    value = connection.execute("SELECT value FROM next_id").fetchone()[0]
    assert isinstance(value, int)
    return value


def known_streams(connection: sqlite3.Connection) -> list[int]:
    return [stream for (stream,) in connection.execute("SELECT stream FROM spans ORDER BY stream")]


def write(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
    """All of the batches in one commit, or nothing."""
    last = batches[-1]
    try:
        connection.execute("BEGIN IMMEDIATE")
        for batch in batches:
            connection.executemany(_INSERT, _rows(batch))
            connection.execute(_WIDEN, _extent(batch))
        connection.execute("UPDATE next_id SET value = ?", (last.first_id + len(last.events),))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _rows(batch: Batch) -> Iterator[tuple[int, int, int, int, str]]:
    stream, ingested_ms = batch.stream, batch.ingested_ms
    for event_id, (timestamp_ms, message) in enumerate(batch.events, batch.first_id):
        yield stream, timestamp_ms, event_id, ingested_ms, message


def _extent(batch: Batch) -> tuple[int, int, int, int, int]:
    times = [timestamp_ms for timestamp_ms, _ in batch.events]
    weight = sum(_weight(message) for _, message in batch.events)
    return batch.stream, min(times), max(times), batch.ingested_ms, weight


def _weight(message: str) -> int:
    return len(message) if message.isascii() else len(message.encode())


def span(connection: sqlite3.Connection, stream: int) -> StreamSpan | None:
    row = connection.execute(
        "SELECT first_ts, last_ts, last_ingested, bytes FROM spans WHERE stream = ?", (stream,)
    ).fetchone()
    if row is None:
        return None
    return StreamSpan(first_ms=row[0], last_ms=row[1], last_ingested_ms=row[2], stored_bytes=row[3])


class Chore(NamedTuple):
    """Something to forget: the events of a stream older than `before_ms` that came before the one of `before_id`."""

    stream: int
    before_ms: int
    before_id: int


def forget(connection: sqlite3.Connection, chore: Chore, at_most: int) -> bool:
    """Delete up to `at_most` events, the oldest first; True: none is left."""
    doomed = connection.execute(
        "SELECT ts, id, length(CAST(message AS BLOB)) FROM events"
        " WHERE stream = ? AND ts < ? AND id < ? ORDER BY ts, id LIMIT ?",
        (*chore, at_most),
    ).fetchall()
    if not doomed:
        return True
    last_ts, last_id, _ = doomed[-1]
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "DELETE FROM events WHERE stream = ? AND (ts, id) <= (?, ?) AND id < ?",
            (chore.stream, last_ts, last_id, chore.before_id),
        )
        _shrink(connection, chore.stream, sum(weight for _, _, weight in doomed))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return len(doomed) < at_most


def _shrink(connection: sqlite3.Connection, stream: int, weight: int) -> None:
    first = connection.execute("SELECT min(ts) FROM events WHERE stream = ?", (stream,)).fetchone()[0]
    last = connection.execute("SELECT max(ts) FROM events WHERE stream = ?", (stream,)).fetchone()[0]
    if first is None:
        connection.execute("DELETE FROM spans WHERE stream = ?", (stream,))
    else:
        connection.execute(
            "UPDATE spans SET first_ts = ?, last_ts = ?, bytes = bytes - ? WHERE stream = ?",
            (first, last, weight, stream),
        )


def give_back(connection: sqlite3.Connection) -> None:
    """Return some empty pages to the file system, if they are many."""
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if free >= GIVE_BACK_MIN_PAGES and free * GIVE_BACK_SHARE >= pages:
        # A script, because `execute` takes one step of a statement without columns, and each step frees one page.
        connection.executescript(f"PRAGMA incremental_vacuum({GIVE_BACK_PAGES})")


def read(connection: sqlite3.Connection, streams: Sequence[int], query: EventQuery) -> list[tuple[int, LogEvent]]:
    """The events of a query, from one moment's view of the file."""
    low, high = _bounds(query)
    if low >= high:
        return []
    connection.execute("BEGIN")
    try:
        if len(streams) == 1:
            found = _of_one(connection, streams[0], low, high, query)
        else:
            found = _of_many(connection, streams, low, high, query)
        return _within(found, query)
    finally:
        connection.execute("COMMIT")


def _bounds(query: EventQuery) -> tuple[Key, Key]:
    """Both exclusive; ids are never negative."""
    low, high = (query.start_ms, -1), (query.end_ms, -1)
    return max(low, query.after or low), min(high, query.before or high)


def _within(found: Iterator[tuple[int, LogEvent]], query: EventQuery) -> list[tuple[int, LogEvent]]:
    chosen: list[tuple[int, LogEvent]] = []
    left = query.max_bytes
    for item in found:
        left -= _weight(item[1].message)
        if chosen and left < 0:
            break
        chosen.append(item)
        if len(chosen) >= query.limit:
            break
    return chosen


def _order(query: EventQuery) -> str:
    return "ORDER BY ts, id" if query.forward else "ORDER BY ts DESC, id DESC"


def _of_one(
    connection: sqlite3.Connection, stream: int, low: Key, high: Key, query: EventQuery
) -> Iterator[tuple[int, LogEvent]]:
    rows = connection.execute(
        f"SELECT ts, id, ingested, message FROM events WHERE {_IN_RANGE} {_order(query)} LIMIT ?",
        (stream, *low, *high, query.limit),
    )
    for ts, event_id, ingested, message in rows:
        yield stream, LogEvent(timestamp_ms=ts, message=message, ingested_ms=ingested, id=event_id)


def _of_many(
    connection: sqlite3.Connection, streams: Sequence[int], low: Key, high: Key, query: EventQuery
) -> Iterator[tuple[int, LogEvent]]:
    """A merge that opens a stream only when the others have come as far as its first event."""
    sign = 1 if query.forward else -1
    size = max(KEYS_MIN, min(KEYS_MAX, query.limit, KEYS_TOGETHER // max(1, len(streams))))
    spans = connection.execute(
        "SELECT stream, first_ts, last_ts FROM spans WHERE stream IN (SELECT value FROM json_each(?))"
        " AND last_ts >= ? AND first_ts <= ?",
        (json.dumps(list(dict.fromkeys(streams))), low[0], high[0]),
    ).fetchall()
    waiting: list[tuple[int, int, int, Iterator[Key] | None]] = [
        (first_ts, -1, stream, None) if query.forward else (-last_ts, -(1 << 62), stream, None)
        for stream, first_ts, last_ts in spans
    ]
    heapq.heapify(waiting)
    while waiting:
        ts, event_id, stream, keys = heapq.heappop(waiting)
        if keys is None:
            keys = _keys(connection, stream, low, high, query.forward, size)
        else:
            yield stream, _event(connection, stream, (sign * ts, sign * event_id))
        following = next(keys, None)
        if following is not None:
            heapq.heappush(waiting, (sign * following[0], sign * following[1], stream, keys))


def _keys(
    connection: sqlite3.Connection, stream: int, low: Key, high: Key, forward: bool, size: int
) -> Iterator[Key]:
    order = "ORDER BY ts, id" if forward else "ORDER BY ts DESC, id DESC"
    statement = f"SELECT ts, id FROM events WHERE {_IN_RANGE} {order} LIMIT ?"
    while True:
        block: list[Key] = connection.execute(statement, (stream, *low, *high, size)).fetchall()
        yield from block
        if len(block) < size:
            return
        low, high = (block[-1], high) if forward else (low, block[-1])


def _event(connection: sqlite3.Connection, stream: int, key: Key) -> LogEvent:
    ingested, message = connection.execute(
        "SELECT ingested, message FROM events WHERE stream = ? AND ts = ? AND id = ?", (stream, *key)
    ).fetchone()
    return LogEvent(timestamp_ms=key[0], message=message, ingested_ms=ingested, id=key[1])
