"""Pulls in flight: tasks that want the same image share one pull, and hold one worker between them.

A pull answers only those who asked before it began: a tag may have been pushed anew since. Whoever asks while one is
going on is answered by the next.
"""

from __future__ import annotations

from collections.abc import Callable

from moorage.agent.ports import Images, Workers
from moorage.agent.spec import RootImage

Answer = Callable[[RootImage | BaseException], None]


class Pulls:
    """By reference: who waits for the pull that goes on, and who for the one after it."""

    def __init__(self, images: Images, workers: Workers) -> None:
        self._images = images
        self._workers = workers
        self._waiting: dict[str, list[Answer]] = {}

    def ask(self, reference: str, answer: Answer) -> None:
        """`answer` gets the image or the failure."""
        waiting = self._waiting.get(reference)
        if waiting is not None:
            waiting.append(answer)
            return
        self._waiting[reference] = []
        self._begin(reference, [answer])

    def _begin(self, reference: str, served: list[Answer]) -> None:
        def done(image: RootImage | BaseException) -> None:
            late = self._waiting[reference]
            if late:
                self._waiting[reference] = []
                self._begin(reference, late)
            else:
                del self._waiting[reference]
            for answer in served:
                answer(image)

        self._workers.submit(lambda: self._images.ensure(reference), done)
