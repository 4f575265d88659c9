"""The embedded journal: SQLite in write-ahead mode, one writer thread, commits in groups.

Everything that arrives while one commit is on its way to the disk goes into the next: the more writers wait, the
cheaper each becomes. `synchronous=FULL` makes SQLite sync its log at every commit, so a commit that returned
survives a power cut (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from moorage.base.errors import Unavailable
from moorage.store.journal import Batch, Row
from moorage.store.state import SCHEMA_VERSION

# A disk that refused is asked again this often; the reason is a full disk far more often than a broken one,
# and somebody is making room.
RETRY_PERIOD_S: Final = 1.0
# SQLite's cache for the journal. The state lives in our own memory, so pages are only held while written.
CACHE_KIB: Final = 2048

_PUT = "INSERT OR REPLACE INTO rows (tbl, key, value) VALUES (?, ?, ?)"
_DELETE = "DELETE FROM rows WHERE tbl = ? AND key = ?"


class JournalRefused(Unavailable):
    """The journal cannot be opened: another server holds it, or its format is newer than this code."""


class SqliteJournal:
    """A `Journal` in one file. The lock beside it keeps a second server out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_fd = _lock(path.with_suffix(".lock"))
        try:
            self._connection = _open(path)
        except sqlite3.Error as error:
            os.close(self._lock_fd)
            raise JournalRefused(f"{path}: {error}") from error
        except JournalRefused:
            os.close(self._lock_fd)
            raise
        self._ready = threading.Condition()
        self._queue: list[Batch] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def load(self) -> Iterator[Row]:
        for table, key, value in self._connection.execute("SELECT tbl, key, value FROM rows ORDER BY rowid"):
            yield Row(table, key, value)

    def start(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(durable, stalled), name="journal", daemon=True)
        self._thread.start()

    def append(self, batch: Batch) -> None:
        with self._ready:
            assert not self._closing
            self._queue.append(batch)
            self._ready.notify()

    def close(self) -> None:
        with self._ready:
            self._closing = True
            self._ready.notify()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()
        os.close(self._lock_fd)

    def _run(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._queue or self._closing)
                batches, self._queue = self._queue, []
            if not batches:
                return
            self._write_until_kept(batches, stalled)
            durable(batches[-1].seq)

    def _write_until_kept(self, batches: list[Batch], stalled: Callable[[str | None], None]) -> None:
        refused = False
        while True:
            try:
                self._write(batches)
            except sqlite3.Error as error:
                refused = True
                stalled(f"the journal cannot be written: {error}")
                with self._ready:
                    if self._ready.wait_for(lambda: self._closing, RETRY_PERIOD_S):
                        return  # nobody was told that these are kept
            else:
                if refused:
                    stalled(None)
                return

    def _write(self, batches: list[Batch]) -> None:
        last: dict[tuple[str, str], bytes | None] = {}
        for batch in batches:
            for row in batch.rows:
                last[row.table, row.key] = row.value
        puts = [(table, key, value) for (table, key), value in last.items() if value is not None]
        deletes = [where for where, value in last.items() if value is None]
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_PUT, puts)
            connection.executemany(_DELETE, deletes)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalRefused(f"{path} is locked: another Moorage server is running on this data") from error
    return fd


def _open(path: Path) -> sqlite3.Connection:
    # Made with the mode first, so that SQLite's side files inherit it: keys lie in here.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise JournalRefused(
            f"{path} was written by a newer Moorage (format {version}, this one reads {SCHEMA_VERSION})"
        )
    connection.execute("CREATE TABLE IF NOT EXISTS rows (tbl TEXT, key TEXT, value BLOB, UNIQUE (tbl, key))")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return connection
