"""What lies behind the store: rows that survive. One interface, so that SQLite and etcd can each be it.

A journal keeps the last value of every row, not the history: reading it back costs what the state weighs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One record as it was after a transaction; `value` None is a record that is gone."""

    table: str
    key: str
    value: bytes | None


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """One transaction: all of it is kept, or nothing."""

    seq: int
    rows: tuple[Row, ...]


class Journal(Protocol):
    """Batches in, in order; `durable(seq)` is told when everything up to `seq` would survive a power cut.

    `stalled(reason)` is told when the disk refuses to take more, and again with None when it has recovered;
    no batch is dropped in between.
    """

    def load(self) -> Iterator[Row]:
        """Every row, once, before the first append."""
        ...

    def start(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        """Begin taking batches."""
        ...

    def append(self, batch: Batch) -> None:
        """Take one more batch; never waits."""
        ...

    def close(self) -> None:
        """Write out what was taken and let go of the disk."""
        ...


class MemoryJournal:
    """A journal without a disk, for tests: durable at once."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}
        self._durable: Callable[[int], None] = lambda _seq: None

    def load(self) -> Iterator[Row]:
        return iter([Row(table, key, value) for (table, key), value in self.rows.items()])

    def start(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        del stalled  # memory does not refuse
        self._durable = durable

    def append(self, batch: Batch) -> None:
        apply(batch, self.rows)
        self._durable(batch.seq)

    def close(self) -> None:
        pass


def apply(batch: Batch, rows: dict[tuple[str, str], bytes]) -> None:
    """Carry a batch out on rows held in memory."""
    for row in batch.rows:
        if row.value is None:
            rows.pop((row.table, row.key), None)
        else:
            rows[row.table, row.key] = row.value
