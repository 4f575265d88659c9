"""Searching a group."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.call import Call
from moorage.api.logs.filter import FilterLogEventsRequest, FilterLogEventsResponse, filter_log_events
from moorage.base.errors import Refused
from tests.unit.api.logs.logged import GROUP, NOW_MS, a_call, done, put


def search(call: Call, pattern: str = "", **others: Any) -> FilterLogEventsResponse:
    request = FilterLogEventsRequest(log_group_name=GROUP, filter_pattern=pattern, **others)
    return done(filter_log_events(call, request))


def messages(answer: FilterLogEventsResponse) -> list[str]:
    return [event.message for event in answer.events]


def two_streams() -> Call:
    call = a_call("a/1", "b/1")
    for n in range(6):
        put(call, (n, f"{'ERROR' if n % 3 == 0 else 'INFO'} {n}"), stream="a/1" if n % 2 else "b/1")
    return call


def test_the_events_of_all_streams_come_in_order_of_time() -> None:
    answer = search(two_streams())
    assert [message[-1] for message in messages(answer)] == list("012345")
    assert answer.next_token is None
    assert answer.searched_log_streams == ()
    assert {event.log_stream_name for event in answer.events} == {"a/1", "b/1"}
    assert len({event.event_id for event in answer.events}) == 6


def test_only_events_that_match_are_answered() -> None:
    assert messages(search(two_streams(), "ERROR")) == ["ERROR 0", "ERROR 3"]


def test_streams_are_chosen_by_name_or_by_prefix_but_not_both() -> None:
    call = two_streams()
    assert messages(search(call, log_stream_names=("b/1",))) == ["ERROR 0", "INFO 2", "INFO 4"]
    assert messages(search(call, log_stream_name_prefix="a")) == ["INFO 1", "ERROR 3", "INFO 5"]
    assert messages(search(call, log_stream_name_prefix="c")) == []
    with pytest.raises(Refused, match="mutually exclusive"):
        search(call, log_stream_names=("b/1",), log_stream_name_prefix="a")
    with pytest.raises(Refused, match="log stream does not exist"):
        search(call, log_stream_names=("c",))


def test_a_range_includes_its_start_and_not_its_end() -> None:
    answer = search(two_streams(), start_time=NOW_MS + 1, end_time=NOW_MS + 3)
    assert messages(answer) == ["INFO 1", "INFO 2"]


@pytest.mark.parametrize("head", [True, False])
def test_pages_go_on_where_the_last_one_ended_until_no_token_is_left(head: bool) -> None:
    call = two_streams()
    seen: list[str] = []
    answer = search(call, limit=4, start_from_head=head, start_time=NOW_MS)
    seen += messages(answer)
    while answer.next_token:
        answer = search(call, limit=4, next_token=answer.next_token, start_time=NOW_MS, start_from_head=head)
        seen += messages(answer)
    assert [message[-1] for message in seen] == (list("012345") if head else list("543210"))


def test_searching_backwards_needs_a_start_as_in_aws() -> None:
    with pytest.raises(Refused, match="startFromHead"):
        search(two_streams(), start_from_head=False)


def test_a_long_search_answers_in_parts_that_may_be_empty() -> None:
    call = a_call("a")
    for n in range(6):
        put(call, *[(n, "x" * 70)] * 10_000, stream="a")
    put(call, (7, "needle"), stream="a")
    answer = search(call, "needle")
    assert messages(answer) == []
    parts = 1
    while answer.next_token:
        answer = search(call, "needle", next_token=answer.next_token)
        parts += 1
    assert messages(answer) == ["needle"]
    assert parts == 2


def test_a_page_is_bounded_by_a_mebibyte() -> None:
    call = a_call("a")
    for n in range(3):
        put(call, (n, str(n) * 500_000), stream="a")
    answer = search(call)
    assert [message[0] for message in messages(answer)] == ["0", "1"]
    assert [message[0] for message in messages(search(call, next_token=answer.next_token))] == ["2"]


def test_a_pattern_that_cannot_be_understood_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match="Invalid filter pattern: a JSON pattern ends with }"):
        search(two_streams(), "{ $.a = 1")
