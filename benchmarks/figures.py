"""What a benchmark found: series of measured values, and how many times better one is than another."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass
class Series:
    """One contender's values, one for each run; a run that failed has none and is counted."""

    name: str
    values: list[float] = field(default_factory=list)
    failures: int = 0
    note: str = ""
    part: bool = False  # of another series: shown, not compared

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def spread(self) -> tuple[float, float] | None:
        return (min(self.values), max(self.values)) if self.values else None


@dataclass
class Figure:
    """One question: the first series is the one that the others are compared with."""

    title: str
    unit: str
    better: Better
    series: list[Series]
    notes: list[str] = field(default_factory=list)

    def ratio(self, other: Series) -> float | None:
        """How many times better the first series is than `other`; below 1 where it is worse."""
        ours, theirs = self.series[0].median, other.median
        if other is self.series[0] or other.part or not ours or not theirs:
            return None
        return theirs / ours if self.better == "lower" else ours / theirs


@dataclass(frozen=True)
class Options:
    """What every benchmark is told."""

    quick: bool

    def runs(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    def rounds(self, usual: int, quick: int, what: str) -> Iterator[int]:
        """Count the rounds, and tell on the error stream how far it has come: some take minutes."""
        total = self.runs(usual, quick)
        for number in range(total):
            print(f"{what}: round {number + 1} of {total}", file=sys.stderr, flush=True)
            yield number
