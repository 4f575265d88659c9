"""Coroutines that run beside the rest. One that fails is a bug, and is told as loudly as one: the loop's exception
handler ends the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Background:
    """Keeps its tasks alive until they end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin; what is returned may be cancelled alone."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Stop them all."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            context = {"message": "a background task failed", "exception": failure, "task": task}
            task.get_loop().call_exception_handler(context)
