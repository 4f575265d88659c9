"""Lines become batches that PutLogEvents takes."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.agent.logbatch import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    BATCH_JSON_BYTES_MAX,
    BATCH_SPAN_MAX_MS,
    EVENT_BYTES_MAX,
    EVENT_OVERHEAD_BYTES,
    batches,
)

DAY_MS = BATCH_SPAN_MAX_MS


def test_an_empty_line_is_no_event() -> None:
    assert [[event.message for event in batch] for batch in batches([(1, ""), (2, "a")])] == [["a"]]


def test_a_batch_ends_at_its_number_of_events() -> None:
    sizes = [len(batch) for batch in batches([(1, "x")] * (BATCH_EVENTS_MAX + 1))]
    assert sizes == [BATCH_EVENTS_MAX, 1]


def test_a_batch_ends_at_its_size() -> None:
    for batch in batches([(1, "x" * 100_000)] * 30):
        assert sum(len(event.message) + EVENT_OVERHEAD_BYTES for event in batch) <= BATCH_BYTES_MAX


def test_a_batch_of_control_characters_stays_a_request_that_a_server_takes() -> None:
    found = list(batches([(1, "\x01" * 200_000)] * 5))
    assert len(found) > 1
    assert all(sum(len(event.message) * 6 for event in batch) <= BATCH_JSON_BYTES_MAX for batch in found)


def test_a_batch_spans_less_than_a_day() -> None:
    assert [len(batch) for batch in batches([(0, "a"), (DAY_MS - 1, "b"), (DAY_MS, "c")])] == [2, 1]


def test_a_long_line_becomes_several_events_none_of_which_cuts_a_character() -> None:
    text = "ä€😀" * 100_000
    pieces = [event.message for batch in batches([(1, text)]) for event in batch]
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= EVENT_BYTES_MAX for piece in pieces)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 3 * DAY_MS), st.text(max_size=20)), max_size=50))
def test_no_line_is_lost_and_time_never_goes_back(lines: list[tuple[int, str]]) -> None:
    events = [event for batch in batches(lines) for event in batch]
    assert [event.message for event in events] == [text for _, text in lines if text]
    times = [event.timestamp for event in events]
    assert times == sorted(times)
