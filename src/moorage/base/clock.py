"""Time as an argument: whoever needs the hour is handed a clock, or better, the hour."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time for records, steady time for intervals; the simulator has its own."""

    def now_s(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def steady_s(self) -> float:
        """Seconds on a clock that never jumps; only differences mean anything."""
        ...
