"""A table: frozen records by key, with indexes that are kept as records change.

Everything iterates in insertion order, so that the same history gives the same answers; only `after` goes by the keys
themselves, for lists that callers read in pages.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from moorage.store.ordered import OrderedKeys

R = TypeVar("R", bound=msgspec.Struct)

Keys = Callable[[R], Iterable[Hashable]]
Observer = Callable[["R | None", "R | None"], None]


class Table(Generic[R]):
    """Records of one type. Reading is open to all; writing goes through a transaction's `Writer`."""

    def __init__(
        self,
        name: str,
        record: type[R],
        key: Callable[[R], str],
        indexes: dict[str, Keys[R]] | None = None,
        observe: Observer[R] | None = None,
        lists: Keys[R] | None = None,
    ) -> None:
        """`lists` files a record under what `after` is asked for, as an index does."""
        self.name = name
        self.record = record
        self.key = key
        self._rows: dict[str, R] = {}
        self._keys = indexes or {}
        self._indexes: dict[str, dict[Hashable, dict[str, None]]] = {name: {} for name in self._keys}
        self._lists_of = lists
        self._lists: dict[Hashable, OrderedKeys] = {}
        self._observe = observe
        self.version = 0  # counts every change, also one that is undone; never the same after a restart
        self._followed: str | None = None
        self._changed: dict[Hashable, dict[str, int]] = {}  # of each followed value: keys by their last change

    def following(self, index: str) -> Table[R]:
        """This table, whose values of that index can be asked what has `changed`. For the empty table only."""
        assert not self._rows, "what is there already would never count as changed"
        self._followed = index
        return self

    def get(self, key: str) -> R | None:
        """The record of that key, or None."""
        return self._rows.get(key)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[R]:
        """All records, oldest key first. Take a copy before writing while iterating."""
        return iter(self._rows.values())

    def by(self, index: str, value: Hashable) -> list[R]:
        """The records that `index` files under `value`, in the order in which they came there."""
        rows = self._rows
        return [rows[key] for key in self._indexes[index].get(value, ())]

    def after(self, listed: Hashable, key: str) -> Iterator[R]:
        """The records of one list whose keys follow `key`, in the order of their keys. Good until the next write."""
        keys = self._lists.get(listed)
        return iter(()) if keys is None else map(self._rows.__getitem__, keys.after(key))

    def changed(self, value: Hashable, since: int) -> list[R]:
        """The records that the followed index files under `value` and that were put after the table's version
        `since`, in the order of their changes. Costs what has changed, however many are filed there."""
        rows, keys = self._rows, []
        filed = self._changed.get(value, {})
        for key in reversed(filed):
            if filed[key] <= since:
                break
            keys.append(key)
        return [rows[key] for key in reversed(keys)]

    def count(self, index: str, value: Hashable) -> int:
        """How many records `index` files under `value`."""
        return len(self._indexes[index].get(value, ()))

    def values(self, index: str) -> list[Hashable]:
        """The values under which `index` files at least one record."""
        return list(self._indexes[index])

    def filed_under(self, index: str, *records: R | None) -> list[Hashable]:
        """The values under which `index` would file any of these records."""
        keys = self._keys[index]
        return list(dict.fromkeys(value for record in records if record is not None for value in keys(record)))

    def replace(self, key: str, new: R | None) -> R | None:
        """Put `new` in place of what `key` names and return that. For transactions and the journal only."""
        old = self._rows.get(key)
        if new is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = new
        for name, keys in self._keys.items():
            before = tuple(keys(old)) if old is not None else ()
            after = tuple(keys(new)) if new is not None else ()
            if before != after:
                _refile(self._indexes[name], key, before, after)
            if name == self._followed:
                self._note_change(key, before, after)
        if self._lists_of is not None:
            self._relist(key, old, new, self._lists_of)
        if self._observe is not None:
            self._observe(old, new)
        return old

    def _note_change(self, key: str, before: tuple[Hashable, ...], after: tuple[Hashable, ...]) -> None:
        self.version += 1
        for value in before:
            of_value = self._changed[value]
            del of_value[key]
            if not of_value and value not in after:
                del self._changed[value]
        for value in after:
            self._changed.setdefault(value, {})[key] = self.version

    def _relist(self, key: str, old: R | None, new: R | None, lists_of: Keys[R]) -> None:
        before = () if old is None else tuple(lists_of(old))
        after = () if new is None else tuple(lists_of(new))
        if before == after:
            return
        for value in before:
            if value not in after:
                keys = self._lists[value]
                keys.remove(key)
                if not len(keys):
                    del self._lists[value]
        for value in after:
            self._lists.setdefault(value, OrderedKeys()).add(key)


def _refile(
    index: dict[Hashable, dict[str, None]],
    key: str,
    before: tuple[Hashable, ...],
    after: tuple[Hashable, ...],
) -> None:
    for value in before:
        if value not in after:
            filed = index[value]
            del filed[key]
            if not filed:
                del index[value]
    for value in after:
        index.setdefault(value, {})[key] = None


class Writer(Generic[R]):
    """A table inside a transaction: read it, and change it until the transaction ends."""

    def __init__(self, table: Table[R], changes: dict[tuple[str, str], msgspec.Struct | None]) -> None:
        self._table = table
        self._changes = changes  # the first old value of each record touched, for undoing
        self.get = table.get
        self.by = table.by
        self.count = table.count
        self.values = table.values

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[R]:
        return iter(self._table)

    def put(self, record: R) -> R:
        """Insert or replace the record of its key."""
        key = self._table.key(record)
        old = self._table.replace(key, record)
        self._changes.setdefault((self._table.name, key), old)
        return record

    def delete(self, key: str) -> None:
        """Remove the record of that key, if there is one."""
        if key in self._table:
            old = self._table.replace(key, None)
            self._changes.setdefault((self._table.name, key), old)
