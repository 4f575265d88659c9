"""The one door to the state: `view` to read, `update` to change, `watch` to be woken, `when_durable` to wait.

All of it belongs to one thread. A transaction is a plain block of code: it sees its own writes, and an exception
undoes all of it. Nobody outside is told of a write before the journal has it: answers and messages to agents
leave through `when_durable`, and watchers are woken only then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import msgspec

from moorage.base.errors import Unavailable
from moorage.store.journal import Batch, Journal, Row
from moorage.store.state import State, StateTx

Watcher = Callable[[], None]

_encode = msgspec.msgpack.Encoder().encode


class Stalled(Unavailable):
    """The journal's disk takes no more writes; what was acknowledged is safe, new writes are refused."""


class Store:
    """State in memory, journal behind. `notify` carries the journal thread's word to this thread.

    `notify(function)` must call `function` soon on the owning thread; the event loop's call_soon_threadsafe
    in production, an immediate call in tests and in the simulator.
    """

    def __init__(self, journal: Journal, notify: Callable[[Callable[[], None]], None] | None = None) -> None:
        self.state = State()
        self.durable_seq = 0
        self.stall_reason: str | None = None
        self._journal = journal
        self._in_update = False
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._watchers: dict[str, list[Watcher]] = {}
        self._keyed: dict[str, dict[str, dict[Hashable, list[Watcher]]]] = {}
        self._load()
        hand_over = notify or _at_once
        journal.start(
            lambda seq: hand_over(lambda: self._durable(seq)),
            lambda reason: hand_over(lambda: self._stalled(reason)),
        )

    def _load(self) -> None:
        tables = self.state.tables
        decoders = {name: msgspec.msgpack.Decoder(table.record) for name, table in tables.items()}
        for row in self._journal.load():
            assert row.table in tables, f"journal holds an unknown table {row.table}"
            assert row.value is not None
            tables[row.table].replace(row.key, decoders[row.table].decode(row.value))

    def view(self) -> State:
        """The state as it is now; good until the caller next waits."""
        return self.state

    @contextmanager
    def update(self) -> Iterator[StateTx]:
        """A transaction. Raises `Stalled` at the door while the journal cannot write."""
        assert not self._in_update, "a transaction inside a transaction"
        if self.stall_reason is not None:
            raise Stalled(f"nothing was changed: {self.stall_reason}")
        tx = StateTx(self.state)
        self._in_update = True
        try:
            yield tx
        except BaseException:
            self._undo(tx)
            raise
        finally:
            self._in_update = False
        if tx.changes:
            self._commit(tx)

    def _undo(self, tx: StateTx) -> None:
        tables = self.state.tables
        for (table, key), old in reversed(tx.changes.items()):
            tables[table].replace(key, old)

    def _commit(self, tx: StateTx) -> None:
        self.state.seq += 1
        tables = self.state.tables
        rows = []
        watchers = dict.fromkeys(watcher for table in tx.touched() for watcher in self._watchers.get(table, ()))
        for (table, key), old in tx.changes.items():
            record = tables[table].get(key)
            rows.append(Row(table, key, None if record is None else _encode(record)))
            for index, by_value in self._keyed.get(table, {}).items():
                for value in tables[table].filed_under(index, old, record):
                    watchers.update(dict.fromkeys(by_value.get(value, ())))
        for watcher in watchers:
            self.when_durable(watcher)
        self._journal.append(Batch(self.state.seq, tuple(rows)))

    def watch(self, tables: tuple[str, ...], watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` after each durable transaction that touched one of `tables`; returns the way out.

        A watcher is told that something changed, never what: it looks for itself.
        """
        known = self.state.tables
        for table in tables:
            assert table in known, table
            self._watchers.setdefault(table, []).append(watcher)

        def leave() -> None:
            for table in tables:
                self._watchers[table].remove(watcher)

        return leave

    def watch_one(self, table: str, index: str, value: Hashable, watcher: Watcher) -> Callable[[], None]:
        """As `watch`, but only for records that `index` files, or filed until now, under `value`."""
        watchers = self._keyed.setdefault(table, {}).setdefault(index, {}).setdefault(value, [])
        watchers.append(watcher)

        def leave() -> None:
            watchers.remove(watcher)
            if not watchers:
                self._keyed[table][index].pop(value, None)

        return leave

    @property
    def settled(self) -> bool:
        """Whether everything the state holds is durable."""
        return self.durable_seq >= self.state.seq

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` once everything the state holds now is durable; at once where it already is."""
        if self.settled:
            then()
        else:
            self._waiting.append((self.state.seq, then))

    def _durable(self, seq: int) -> None:
        self.durable_seq = max(self.durable_seq, seq)
        while self._waiting and self._waiting[0][0] <= self.durable_seq:
            self._waiting.popleft()[1]()

    def _stalled(self, reason: str | None) -> None:
        self.stall_reason = reason

    def close(self) -> None:
        """Write everything out; the store is not used afterwards."""
        self._journal.close()


def _at_once(function: Callable[[], None]) -> None:
    function()
