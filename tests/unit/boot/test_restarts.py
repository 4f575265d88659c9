"""How long the supervisor waits before it starts a program again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moorage.boot.supervisor import LIVED_FOR_WAITS, RESTART_WAIT_MAX_S, RESTART_WAIT_MIN_S, restart_wait_s

waits = st.floats(RESTART_WAIT_MIN_S, RESTART_WAIT_MAX_S)


def test_a_program_that_dies_at_once_is_waited_for_ever_longer_up_to_the_largest() -> None:
    wait_s, seen = RESTART_WAIT_MIN_S, []
    for _ in range(12):
        wait_s = restart_wait_s(wait_s, lived_s=0.0)
        seen.append(wait_s)
    assert seen == sorted(seen)
    assert seen[0] == 2 * RESTART_WAIT_MIN_S
    assert seen[-1] == RESTART_WAIT_MAX_S


@given(waits)
def test_one_that_has_lived_for_a_while_is_started_again_soon(last_wait_s: float) -> None:
    assert restart_wait_s(last_wait_s, lived_s=LIVED_FOR_WAITS * last_wait_s + 0.01) == RESTART_WAIT_MIN_S


@given(waits, st.floats(0, 1e6))
def test_no_wait_is_outside_its_bounds(last_wait_s: float, lived_s: float) -> None:
    assert RESTART_WAIT_MIN_S <= restart_wait_s(last_wait_s, lived_s) <= RESTART_WAIT_MAX_S
