"""What a table tells of its changes: whoever looks again sees what changed since, and nothing else."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from moorage.store.table import Table


class Ship(msgspec.Struct, frozen=True):
    name: str
    port: str
    cargo: int


def _ships() -> Table[Ship]:
    return Table("ships", Ship, lambda ship: ship.name, {"port": lambda ship: [ship.port]}).following("port")


def test_a_change_is_seen_once_by_who_remembers_the_version() -> None:
    ships = _ships()
    ships.replace("a", Ship("a", "oslo", 1))
    assert ships.changed("oslo", 0) == [Ship("a", "oslo", 1)]
    assert ships.changed("oslo", ships.version) == []


def test_a_record_that_went_elsewhere_is_a_change_there_and_none_here() -> None:
    ships = _ships()
    ships.replace("a", Ship("a", "oslo", 1))
    seen = ships.version
    ships.replace("a", Ship("a", "riga", 1))
    assert ships.changed("oslo", seen) == []
    assert ships.changed("riga", seen) == [Ship("a", "riga", 1)]


def test_what_changed_twice_is_told_once_as_it_is_now() -> None:
    ships = _ships()
    for cargo in (1, 2):
        ships.replace("a", Ship("a", "oslo", cargo))
    assert ships.changed("oslo", 0) == [Ship("a", "oslo", 2)]


_steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["oslo", "riga", None]), st.integers(0, 9), st.booleans())
)


@given(_steps)
def test_who_looks_now_and_then_at_changes_alone_knows_all_that_is_there(
    steps: list[tuple[str, str | None, int, bool]],
) -> None:
    ships, known, seen = _ships(), dict[str, Ship](), 0
    for name, port, cargo, look in [*steps, ("a", "riga", 0, True)]:
        ships.replace(name, None if port is None else Ship(name, port, cargo))
        if look:
            known.update({ship.name: ship for ship in ships.changed("oslo", seen)})
            seen = ships.version
    there = {ship.name: ship for ship in ships.by("port", "oslo")}
    assert {name: known.get(name) for name in there} == there
