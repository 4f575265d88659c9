"""A disk that takes its time, refuses now and then, and keeps exactly what it said it kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from moorage.sim.dice import SeededDice
from moorage.sim.time import VirtualTime
from moorage.store.journal import Batch, Row, apply


class SimDisk:
    """What survives a crash of the server: rows that were committed."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}
        self.refuses = False


class SimJournal:
    """A `Journal` on a `SimDisk`: one group commit at a time, each after a delay.

    After a crash nothing is heard of it any more; the commit that was under way is kept or lost as the dice fall, as
    nobody had been told of it.
    """

    def __init__(self, disk: SimDisk, time: VirtualTime, dice: SeededDice) -> None:
        self._disk = disk
        self._time = time
        self._dice = dice
        self._queue: list[Batch] = []
        self._writing: list[Batch] = []
        self._crashed = False
        self._told_refusal = False
        self._durable: Callable[[int], None] = lambda _: None
        self._stalled: Callable[[str | None], None] = lambda _: None

    def load(self) -> Iterator[Row]:
        return iter([Row(table, key, value) for (table, key), value in self._disk.rows.items()])

    def start(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        self._durable, self._stalled = durable, stalled

    def append(self, batch: Batch) -> None:
        self._queue.append(batch)
        if not self._writing:
            self._begin()

    def crash(self) -> None:
        """The server died."""
        self._crashed = True
        if self._writing and self._dice.chance(0.5):
            self._keep()

    def close(self) -> None:
        self.crash()

    def _begin(self) -> None:
        self._writing, self._queue = self._queue, []
        self._time.call_later(self._dice.between(0.0005, 0.02), self._finish)

    def _finish(self) -> None:
        if self._crashed:
            return
        if self._disk.refuses:
            self._told_refusal = True
            self._stalled("no space left on the simulated disk")
            self._time.call_later(1.0, self._finish)
            return
        self._keep()
        if self._told_refusal:
            self._told_refusal = False
            self._stalled(None)
        seq = self._writing[-1].seq
        self._writing = []
        if self._queue:
            self._begin()
        self._durable(seq)

    def _keep(self) -> None:
        for batch in self._writing:
            apply(batch, self._disk.rows)
