"""The real world: the machine's clock and the kernel's dice."""

from __future__ import annotations

import os
import time


class SystemClock:
    """The machine's own clocks."""

    def now_s(self) -> float:
        return time.time()

    def steady_s(self) -> float:
        return time.monotonic()


class SystemDice:
    """The kernel's random bits; drawn in advance, as one draw costs a system call."""

    _DRAWN_BYTES = 4096  # 256 ids' worth

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def bits(self, count: int) -> int:
        size = (count + 7) // 8
        if self._at + size > len(self._pool):
            self._pool, self._at = os.urandom(max(self._DRAWN_BYTES, size)), 0
        drawn = int.from_bytes(self._pool[self._at : self._at + size])
        self._at += size
        return drawn >> (size * 8 - count)
