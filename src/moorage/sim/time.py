"""Virtual time: a heap of what is to happen, and a clock that jumps from one happening to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

# Where every run begins: the first second of 2026.
EPOCH_S: Final = 1_767_225_600.0


class VirtualTime:
    """A `Clock`, and a place to leave callbacks. Equal times happen in the order in which they were left."""

    def __init__(self) -> None:
        self._now_s = EPOCH_S
        self._order = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def now_s(self) -> float:
        return self._now_s

    def steady_s(self) -> float:
        return self._now_s - EPOCH_S

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Let `callback` happen after `delay` seconds."""
        assert delay >= 0
        self._order += 1
        heapq.heappush(self._heap, (self._now_s + delay, self._order, callback))

    def run_until(self, end_s: float, after_each: Callable[[], None]) -> None:
        """Let everything happen that is due within `end_s` seconds of the beginning."""
        while self._heap and self._heap[0][0] <= EPOCH_S + end_s:
            self._now_s, _, callback = heapq.heappop(self._heap)
            callback()
            after_each()
        self._now_s = EPOCH_S + end_s
