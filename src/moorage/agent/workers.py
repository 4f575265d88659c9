"""Threads for blocking work, as many as there is sense in, and their answers brought back to the agent's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Steps of the node are mostly system calls and short waits for the runtime; more threads only contend for the
# kernel's network and mount locks.
NODE_THREADS: Final = 8
# A pull waits for a registry nearly all its time, and tasks with the same image share one.
PULL_THREADS: Final = 16
# A check waits for its program. While all of these wait for programs that hang, other checks are late, no more.
CHECK_THREADS: Final = 16


class ThreadWorkers:
    """A bounded pool; work beyond the bound waits in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int, name: str) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, work: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        def finished(future: Future[T]) -> None:
            if not future.cancelled():
                self._loop.call_soon_threadsafe(answer, future)

        def answer(future: Future[T]) -> None:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
            failure = future.exception()
            done(future.result() if failure is None else failure)

        self._busy += 1
        self._idle.clear()
        self._pool.submit(work).add_done_callback(finished)

    async def drain(self, patience_s: float) -> bool:
        """Wait until nothing is being done; False where the patience ran out first."""
        try:
            await asyncio.wait_for(self._idle.wait(), patience_s)
        except TimeoutError:
            return False
        return True
