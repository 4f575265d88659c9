"""Keys in order: whatever is added and removed, pages are those of a sorted list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.store.ordered import RUN_MAX_KEYS, OrderedKeys

keys = st.text(alphabet="abc", max_size=3)
steps = st.lists(st.tuples(st.booleans(), keys), max_size=60)


@given(steps, keys)
def test_the_keys_are_those_of_a_sorted_set(script: list[tuple[bool, str]], start: str) -> None:
    ordered, plain = OrderedKeys(), set[str]()
    for adding, key in script:
        if adding:
            ordered.add(key)
            plain.add(key)
        elif key in plain:
            ordered.remove(key)
            plain.remove(key)
        assert (key in ordered) == (key in plain)
    assert list(ordered) == sorted(plain)
    assert len(ordered) == len(plain)
    assert list(ordered.after(start)) == [key for key in sorted(plain) if key > start]


def test_long_lists_are_cut_in_runs_and_grow_together_again() -> None:
    names = [f"{number * 7919 % 10_007:05d}" for number in range(5 * RUN_MAX_KEYS)]
    ordered = OrderedKeys()
    for name in names:
        ordered.add(name)
    assert list(ordered) == sorted(names)
    assert list(ordered.after("05000")) == [name for name in sorted(names) if name > "05000"]
    for name in names[:-3]:
        ordered.remove(name)
    assert list(ordered) == sorted(names[-3:])


def test_what_is_not_there_cannot_be_removed() -> None:
    ordered = OrderedKeys()
    ordered.add("b")
    with pytest.raises(AssertionError, match="a is not here"):
        ordered.remove("a")
