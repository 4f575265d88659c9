"""What PutLogEvents takes, and what it turns away."""

from __future__ import annotations

import pytest

from moorage.api.logs.events import InputLogEvent, PutLogEventsRequest, put_log_events
from moorage.api.logs.groups import PutRetentionPolicyRequest, put_retention_policy
from moorage.base.errors import Refused
from tests.unit.api.logs.logged import GROUP, NOW_MS, STREAM, a_call, get, messages, put

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def test_a_batch_is_kept_and_a_token_told_that_nobody_checks() -> None:
    call = a_call(STREAM)
    first = put(call, (-2, "one"), (-2, "two"))
    assert first.rejected_log_events_info is None
    request = PutLogEventsRequest(
        log_group_name=GROUP,
        log_stream_name=STREAM,
        log_events=(InputLogEvent(timestamp=NOW_MS, message="three"),),
        sequence_token="any",
    )
    assert put_log_events(call, request).next_sequence_token == first.next_sequence_token
    assert messages(get(call)) == ["one", "two", "three"]


def test_events_outside_the_accepted_time_are_told_by_index_and_the_rest_is_kept() -> None:
    call = a_call(STREAM)
    answer = put(call, (0, "now"), (2 * HOUR_MS + 1, "too new"), (3 * HOUR_MS, "too new"))
    info = answer.rejected_log_events_info
    assert info is not None
    assert (info.too_new_log_event_start_index, info.too_old_log_event_end_index) == (1, None)
    answer = put(call, (-20 * DAY_MS, "too old"), (-15 * DAY_MS, "too old"), (-1, "then"))
    info = answer.rejected_log_events_info
    assert info is not None
    assert (info.too_old_log_event_end_index, info.too_new_log_event_start_index) == (2, None)
    assert messages(get(call)) == ["then", "now"]


def test_events_past_the_retention_are_told_as_expired() -> None:
    call = a_call(STREAM)
    put_retention_policy(call, PutRetentionPolicyRequest(log_group_name=GROUP, retention_in_days=3))
    info = put(call, (-4 * DAY_MS, "expired"), (0, "kept")).rejected_log_events_info
    assert info is not None
    assert (info.expired_log_event_end_index, info.too_old_log_event_end_index) == (1, None)
    assert messages(get(call)) == ["kept"]


def test_a_batch_in_which_every_event_is_turned_away_is_no_error() -> None:
    call = a_call(STREAM)
    info = put(call, (-15 * DAY_MS, "old"), (3 * HOUR_MS, "new")).rejected_log_events_info
    assert info is not None
    assert (info.too_old_log_event_end_index, info.too_new_log_event_start_index) == (1, 1)
    assert messages(get(call)) == []


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([(0, "b"), (-1, "a")], "chronological order"),
        ([(-DAY_MS - 1, "a"), (0, "b")], "24 hours"),
        ([(0, "")], "empty"),
        ([(0, "\ud800")], "Unicode"),
        ([(0, "x" * 1_048_577)], "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        ([(0, "x" * 600_000), (0, "é" * 300_000)], "Upload too large: 1200052 bytes exceeds limit of 1048576"),
        ([(0, "x")] * 10_001, "10000"),
        ([], "10000"),
        ([(-NOW_MS - 1, "x")], "negative"),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_whole(events: list[tuple[int, str]], reason: str) -> None:
    call = a_call(STREAM)
    with pytest.raises(Refused, match=reason) as refusal:
        put(call, *events)
    assert refusal.value.code == "InvalidParameterException"
    assert messages(get(call)) == []


def test_a_batch_of_exactly_the_limits_is_taken() -> None:
    call = a_call(STREAM)
    put(call, (0, "x" * (1_048_576 - 26)))
    put(call, *[(0, "y")] * 10_000)


def test_a_stream_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match=r"ResourceNotFoundException: The specified log stream does not exist\."):
        put(a_call(), (0, "x"))
