"""Seeded dice: the same seed throws the same run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class SeededDice:
    """`Dice` for the platform, and the choices that the world makes."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high]."""
        return self._random.uniform(low, high)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self._random.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self._random.choice(options)
