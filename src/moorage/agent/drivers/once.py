"""Callers who ask for the same thing at once share one doing of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_V = TypeVar("_V")


class _Slot(Generic[_V]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.began = -1
        self.value: _V | None = None
        self.error: Exception | None = None


class Once(Generic[_V]):
    """`run` answers with a doing that began after it was asked for, by whomever.

    So nobody gets an answer older than the question (a tag's digest from before a push), and of any number
    that wait while one doing goes on, the first does the next and the others share it. Failures are shared
    likewise: many who wait for an image that does not exist learn it together, not one after another.
    """

    def __init__(self, failures: tuple[type[Exception], ...]) -> None:
        self._failures = failures
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot[_V]] = {}
        self._moments = itertools.count()

    def run(self, key: Hashable, do: Callable[[], _V]) -> _V:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            slot.users += 1
            asked = next(self._moments)
        try:
            with slot.lock:
                if slot.began < asked:
                    self._do(slot, do)
                if slot.error is not None:
                    raise slot.error
                assert slot.value is not None
                return slot.value
        finally:
            with self._lock:
                slot.users -= 1
                if not slot.users:
                    del self._slots[key]

    def _do(self, slot: _Slot[_V], do: Callable[[], _V]) -> None:
        slot.began = next(self._moments)
        # Should `do` fail in a way not foreseen, those who share this slot must not take the last value for it.
        slot.value, slot.error = None, None
        try:
            slot.value = do()
        except self._failures as error:
            slot.error = error
