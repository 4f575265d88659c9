"""The bulk store of log events: one SQLite file of its own, written by one thread, read on many connections.

Appending never waits: what arrives while one commit is on its way to the disk goes into the next, and
`when_durable` tells when everything appended so far would survive a power cut. Forgetting (`drop`, `expire`) is
done in small slices between commits, so that an old group of a hundred million events delays nobody. It is not
journalled: a drop that a crash cut short is found again by `sweep`, an expiry by the next pass over the groups.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorage.base.errors import Unavailable
from moorage.model.log import EventQuery, LogEvent, StreamSpan
from moorage.store import events_sql as sql
from moorage.store.store import Stalled

# A disk that refused is asked again this often, as the journal does.
RETRY_PERIOD_S: Final = 1.0
# Messages waiting for the disk. Callers wait for durability, so only many callers at once come near; 64 MiB is
# 64 of the largest requests, and more would be memory that a slow disk takes from the state.
QUEUE_MAX_BYTES: Final = 64 * 1024 * 1024
# What one event costs beyond its message, in the queue and, as CloudWatch Logs counts it, in a batch.
EVENT_OVERHEAD_BYTES: Final = 26
# Events forgotten in one commit: some 10 ms of the writer's time.
CHORE_SLICE_EVENTS: Final = 2_000
# Connections kept open between reads; each holds a small page cache.
READERS_KEPT: Final = 4


class EventStore:
    """The `EventLog` of operations. `notify` carries the writer's word to the owning thread, as in `Store`.

    `append`, `drop`, `expire` and `when_durable` belong to the owning thread; `read` and `span` to any other.
    """

    def __init__(self, path: Path, notify: Callable[[Callable[[], None]], object]) -> None:
        self._notify = notify
        self._writer = _open_writer(path)
        self._readers = _Readers(path)
        self._next_id = sql.next_id(self._writer)
        self.stall_reason: str | None = None
        self.appended_seq = 0
        self.durable_seq = 0
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._ready = threading.Condition()
        self._queue: list[sql.Batch] = []
        self._queued_bytes = 0
        self._chores: dict[int, list[sql.Chore]] = {}  # by stream, none of a stream's covered by another
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log-events", daemon=True)
        self._thread.start()

    def append(self, stream: int, events: Sequence[tuple[int, str]], ingested_ms: int) -> None:
        """Add (timestamp in ms, message) pairs to a stream; the messages must be encodable in UTF-8.

        Raises `Stalled` while the disk refuses writes or has fallen far behind.
        """
        if self.stall_reason is not None:
            raise Stalled(self.stall_reason)
        weight = sum(len(message) + EVENT_OVERHEAD_BYTES for _, message in events)
        with self._ready:
            assert not self._closing
            if self._queue and self._queued_bytes + weight > QUEUE_MAX_BYTES:
                raise Stalled("log events arrive faster than the disk takes them")
            self.appended_seq += 1
            self._queue.append(sql.Batch(self.appended_seq, stream, self._next_id, events, ingested_ms))
            self._queued_bytes += weight
            self._next_id += len(events)
            self._ready.notify()

    @property
    def settled(self) -> bool:
        """Whether everything appended until now is durable."""
        return self.durable_seq >= self.appended_seq

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` once everything appended until now is durable; at once where it already is."""
        if self.settled:
            then()
        else:
            self._waiting.append((self.appended_seq, then))

    def read(self, streams: Sequence[int], query: EventQuery) -> list[tuple[int, LogEvent]]:
        """(stream, event) pairs in the order of the query."""
        with self._readers.borrow() as connection:
            return sql.read(connection, streams, query)

    def span(self, stream: int) -> StreamSpan | None:
        """What a stream holds; None for an empty one."""
        with self._readers.borrow() as connection:
            return sql.span(connection, stream)

    def drop(self, streams: Sequence[int]) -> None:
        """Forget all that those streams hold now, soon."""
        self.expire(streams, sql.NEVER_MS)

    def expire(self, streams: Sequence[int], before_ms: int) -> None:
        """Forget the events of those streams that are older, soon."""
        with self._ready:
            for stream in streams:
                chore = sql.Chore(stream, before_ms, self._next_id)
                left = [one for one in self._chores.get(stream, ()) if one.before_ms > before_ms]
                self._chores[stream] = [*left, chore]
            self._ready.notify()

    def sweep(self, live: Iterable[int]) -> None:
        """Forget the streams that are not in `live`. For the start, when the state has just been read back."""
        kept = frozenset(live)
        with self._readers.borrow() as connection:
            known = sql.known_streams(connection)
        self.drop([stream for stream in known if stream not in kept])

    def idle(self) -> bool:
        """Whether nothing waits to be written or forgotten."""
        with self._ready:
            return not self._chores and not self._queue and self.settled

    def close(self) -> None:
        """Write out what was appended and let go of the disk. What was to be forgotten is found again later."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()
        self._readers.close()
        self._writer.close()

    # What follows runs on the writer's thread.

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._queue or self._chores or self._closing)
                batches, self._queue = self._queue, []
                self._queued_bytes = 0
                chore = next(iter(self._chores.values()))[0] if self._chores else None
                if self._closing and not batches:
                    return
            if batches and not self._write_until_kept(batches):
                return
            if chore is not None:
                self._do_slice(chore)

    def _write_until_kept(self, batches: list[sql.Batch]) -> bool:
        """Commit, again and again if need be; False where the store was closed before the disk took it."""
        refused = False
        while True:
            try:
                sql.write(self._writer, batches)
            except sqlite3.Error as error:
                refused = True
                self._tell_stalled(f"the log event store cannot be written: {error}")
                with self._ready:
                    if self._ready.wait_for(lambda: self._closing, RETRY_PERIOD_S):
                        return False
            else:
                if refused:
                    self._tell_stalled(None)
                self._tell_durable(batches[-1].seq)
                return True

    def _do_slice(self, chore: sql.Chore) -> None:
        try:
            done = sql.forget(self._writer, chore, CHORE_SLICE_EVENTS)
            sql.give_back(self._writer)
        except sqlite3.Error:
            # A full disk also refuses deletions. The next append reports it; this stays on the list.
            with self._ready:
                self._ready.wait_for(lambda: self._queue or self._closing, RETRY_PERIOD_S)
            return
        if done:
            self._strike_out(chore)

    def _strike_out(self, chore: sql.Chore) -> None:
        """A chore is done, unless a larger one has taken its place meanwhile."""
        with self._ready:
            left = [one for one in self._chores[chore.stream] if one is not chore]
            if left:
                self._chores[chore.stream] = left
            else:
                del self._chores[chore.stream]

    def _tell_durable(self, seq: int) -> None:
        self._notify(lambda: self._durable(seq))

    def _tell_stalled(self, reason: str | None) -> None:
        self._notify(lambda: self._stalled(reason))

    # And these on the owning thread again.

    def _durable(self, seq: int) -> None:
        self.durable_seq = max(self.durable_seq, seq)
        while self._waiting and self._waiting[0][0] <= self.durable_seq:
            self._waiting.popleft()[1]()

    def _stalled(self, reason: str | None) -> None:
        self.stall_reason = reason


class _Readers:
    """Connections for reading, lent one at a time: a SQLite connection is not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = sqlite3.connect(self._uri, uri=True, isolation_level=None, check_same_thread=False)
            yield connection
        except sqlite3.Error as error:
            raise Unavailable(f"the log event store cannot be read: {error}") from error
        finally:
            if connection is not None:
                self._take_back(connection)

    def _take_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < READERS_KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _open_writer(path: Path) -> sqlite3.Connection:
    # Made with the mode first, so that SQLite's side files inherit it: logs hold secrets more often than not.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        sql.prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise Unavailable(f"{path}: {error}") from error
    except Unavailable:
        connection.close()
        raise
    return connection
