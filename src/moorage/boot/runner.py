"""Runs the control loops: wakes each when a table it looks at has changed and at least once in its period.

A loop that raises is told of in the log and tried again after its period: the other loops and the API go on. Only a
broken invariant ends the process, because nothing that follows from one can be trusted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from moorage.base.clock import Clock
from moorage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loop:
    """A control loop. `activate(now_s)` looks at all it owns and writes what it decides; it never waits."""

    name: str
    tables: tuple[str, ...]
    period_s: float
    activate: Callable[[float], None]


async def run(loop: Loop, store: Store, clock: Clock) -> None:
    """Until cancelled."""
    woken = asyncio.Event()
    leave = store.watch(loop.tables, woken.set) if loop.tables else None
    try:
        while True:
            woken.clear()
            try:
                loop.activate(clock.now_s())
            except AssertionError:
                raise
            except Exception:
                log.exception("%s failed; again in %.1f s", loop.name, loop.period_s)
                await asyncio.sleep(loop.period_s)
                continue
            await _either(woken, loop.period_s)
    finally:
        if leave is not None:
            leave()


async def _either(woken: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(woken.wait(), seconds)
    except TimeoutError:
        return
