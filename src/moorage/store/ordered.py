"""Keys in the order of their text, so that a page of a list costs its own length and not the list's.

A plain sorted list would do but for its insertions: each moves half of what there is. So the keys lie in runs of a
bounded length, one after the other, and an insertion moves a part of one run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

# A run of this length is cut in two. At 1,024 pointers an insertion moves 4 KiB on average, half a microsecond, and a
# million keys make some 1,500 runs, whose list is as short to search.
RUN_MAX_KEYS: Final = 1_024


class OrderedKeys:
    """A set of keys that iterates in order. No run is ever empty."""

    def __init__(self) -> None:
        self._runs: list[list[str]] = []
        self._lasts: list[str] = []  # the last key of each run
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for run in self._runs:
            yield from run

    def __contains__(self, key: str) -> bool:
        place = bisect_left(self._lasts, key)
        if place == len(self._runs):
            return False
        run = self._runs[place]
        return run[bisect_left(run, key)] == key

    def add(self, key: str) -> None:
        """Take a key in; one that is there already stays as it is."""
        if key in self:
            return
        self._count += 1
        if not self._runs:
            self._runs.append([key])
            self._lasts.append(key)
            return
        place = min(bisect_left(self._lasts, key), len(self._runs) - 1)
        run = self._runs[place]
        insort(run, key)
        if len(run) > RUN_MAX_KEYS:
            half = len(run) // 2
            self._runs.insert(place + 1, run[half:])
            self._lasts.insert(place + 1, run[-1])
            del run[half:]
        self._lasts[place] = run[-1]

    def remove(self, key: str) -> None:
        """Let a key go that is there."""
        place = bisect_left(self._lasts, key)
        run = self._runs[place]
        at = bisect_left(run, key)
        assert run[at] == key, f"{key} is not here"
        del run[at]
        self._count -= 1
        if run:
            self._lasts[place] = run[-1]
        else:
            del self._runs[place], self._lasts[place]

    def after(self, key: str) -> Iterator[str]:
        """The keys that follow `key`, which need not be there. Good until the next write."""
        place = bisect_right(self._lasts, key)
        if place == len(self._runs):
            return
        run = self._runs[place]
        for at in range(bisect_right(run, key), len(run)):
            yield run[at]
        for later in self._runs[place + 1 :]:
            yield from later
