"""Pulls in flight are shared, but never answered with something older than the question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moorage.agent.pulls import Pulls
from moorage.agent.spec import DriverError, RootImage

from .world import IMAGE


class Later:
    """Workers that work when told to."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.work.append((work, done))

    def do(self) -> None:
        work, done = self.work.pop(0)
        try:
            result = work()
        except DriverError as error:
            result = error
        done(result)


class Registry:
    def __init__(self) -> None:
        self.pulled: list[str] = []

    def ensure(self, reference: str) -> RootImage:
        self.pulled.append(reference)
        if reference == "missing":
            raise DriverError("CannotPullContainerError", "not found")
        return IMAGE


def test_those_who_ask_during_a_pull_share_the_next_one() -> None:
    workers, registry = Later(), Registry()
    pulls = Pulls(registry, workers)
    answers: list[object] = []
    pulls.ask("a", answers.append)
    pulls.ask("a", answers.append)
    pulls.ask("a", answers.append)
    workers.do()
    assert answers == [IMAGE]
    workers.do()
    assert answers == [IMAGE] * 3
    assert registry.pulled == ["a", "a"]
    assert workers.work == []


def test_other_images_do_not_wait() -> None:
    workers, registry = Later(), Registry()
    pulls = Pulls(registry, workers)
    pulls.ask("a", lambda _: None)
    pulls.ask("b", lambda _: None)
    assert len(workers.work) == 2


def test_a_failure_is_shared_and_the_next_question_asks_again() -> None:
    workers, registry = Later(), Registry()
    pulls = Pulls(registry, workers)
    answers: list[object] = []
    pulls.ask("missing", answers.append)
    workers.do()
    pulls.ask("missing", answers.append)
    workers.do()
    assert [type(answer) for answer in answers] == [DriverError, DriverError]
    assert registry.pulled == ["missing", "missing"]
