"""What unit tests of operations share: a call into an empty installation, with a clock and dice of their own."""

from __future__ import annotations

import random
from dataclasses import replace

from moorage.api.call import Call, Installation
from moorage.base.ids import AccountId, Region, Scope
from moorage.model.log import LogEvent, StreamSpan
from moorage.store import Store
from moorage.store.journal import MemoryJournal

ACCOUNT = AccountId("123456789012")
REGION = Region("us-east-1")
NOW_S = 1_767_225_600.0


class SeededDice:
    """Dice that throw the same from the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class NoEvents:
    """An event log for operations that must not touch one."""

    def append(self, *_: object) -> None:
        raise AssertionError("no events are expected here")

    def read(self, *_: object) -> list[tuple[int, LogEvent]]:
        raise AssertionError("no events are expected here")

    def span(self, _: int) -> StreamSpan | None:
        raise AssertionError("no events are expected here")

    drop = expire = append


def make_call(store: Store | None = None, *, region: Region = REGION, seed: int = 1) -> Call:
    """A call by the root of `ACCOUNT`, at `NOW_S`."""
    return Call(
        store=store or Store(MemoryJournal()),
        events=NoEvents(),
        installation=Installation(account=ACCOUNT, regions=(REGION,), endpoint="http://127.0.0.1:8780"),
        dice=SeededDice(seed),
        now_s=NOW_S,
        scope=Scope(ACCOUNT, region),
        principal_arn=f"arn:aws:iam::{ACCOUNT}:root",
        user_id=ACCOUNT,
    )


def later(call: Call, seconds: float) -> Call:
    """The same caller, some time after."""
    return replace(call, now_s=call.now_s + seconds)
