"""A stand-in for the event loop: what another thread hands over is run here, by the thread that owns the store."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

DEADLINE_S = 20.0  # far more than any of these tests takes; a test that reaches it has failed


class Loop:
    """`notify` for the writer's thread, `run_until` for the test's."""

    def __init__(self) -> None:
        self._handed: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def notify(self, function: Callable[[], None]) -> None:
        self._handed.put(function)

    def run_until(self, reached: Callable[[], bool], poll_s: float = 0.05) -> None:
        """Run what was handed over until `reached`; asked again whenever something came, or `poll_s` has passed."""
        end = time.monotonic() + DEADLINE_S
        while not reached():
            assert time.monotonic() < end, "the condition was not reached"
            try:
                self._handed.get(timeout=poll_s)()
            except queue.Empty:
                continue
