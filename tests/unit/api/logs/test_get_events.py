"""Reading one stream page by page: tokens never end, and the end is where the same token comes back."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from tests.unit.api.logs.logged import NOW_MS, STREAM, a_call, get, messages, put


def test_the_newest_page_comes_first_and_is_ascending() -> None:
    call = a_call(STREAM)
    put(call, *[(n, f"m{n}") for n in range(5)])
    page = get(call, limit=2)
    assert messages(page) == ["m3", "m4"]
    assert [event.timestamp for event in page.events] == [NOW_MS + 3, NOW_MS + 4]
    older = get(call, limit=2, token=page.next_backward_token)
    assert messages(older) == ["m1", "m2"]
    oldest = get(call, limit=2, token=older.next_backward_token)
    assert messages(oldest) == ["m0"]


def test_from_the_head_the_oldest_page_comes_first() -> None:
    call = a_call(STREAM)
    put(call, *[(n, f"m{n}") for n in range(5)])
    page = get(call, limit=3, head=True)
    assert messages(page) == ["m0", "m1", "m2"]
    assert messages(get(call, limit=3, head=True, token=page.next_forward_token)) == ["m3", "m4"]


def test_at_either_end_the_token_that_was_given_comes_back() -> None:
    call = a_call(STREAM)
    put(call, (0, "a"), (1, "b"))
    page = get(call)
    assert page.next_forward_token.startswith("f/")
    assert page.next_backward_token.startswith("b/")
    end = get(call, token=page.next_forward_token)
    assert (messages(end), end.next_forward_token) == ([], page.next_forward_token)
    start = get(call, token=page.next_backward_token)
    assert (messages(start), start.next_backward_token) == ([], page.next_backward_token)


def test_a_reader_at_the_end_sees_what_is_written_next() -> None:
    call = a_call(STREAM)
    empty = get(call, head=True)
    put(call, (0, "first"), (0, "second"))
    page = get(call, token=empty.next_forward_token, limit=1)
    assert messages(page) == ["first"]
    page = get(call, token=page.next_forward_token)
    assert messages(page) == ["second"]
    put(call, (0, "third, in the same millisecond"))
    assert messages(get(call, token=page.next_forward_token)) == ["third, in the same millisecond"]


def test_a_reader_who_turns_round_at_an_empty_page_misses_nothing() -> None:
    call = a_call(STREAM)
    put(call, (0, "a"), (1, "b"))
    end = get(call, token=get(call).next_forward_token)
    assert messages(get(call, token=end.next_backward_token)) == ["a", "b"]


def test_an_empty_stream_answers_tokens_all_the_same() -> None:
    call = a_call(STREAM)
    page = get(call)
    assert messages(page) == []
    put(call, (0, "a"))
    assert messages(get(call, token=page.next_forward_token)) == ["a"]


def test_the_start_is_included_in_a_range() -> None:
    call = a_call(STREAM)
    put(call, (0, "a"), (1, "b"), (2, "c"))
    assert messages(get(call, start=NOW_MS + 1)) == ["b", "c"]
    assert messages(get(call, start=1 << 80)) == []


def test_a_page_is_bounded_by_a_mebibyte() -> None:
    call = a_call(STREAM)
    for n in range(3):
        put(call, (n, str(n) * 500_000))
    page = get(call, head=True)
    assert [message[0] for message in messages(page)] == ["0", "1"]
    assert [message[0] for message in messages(get(call, token=page.next_forward_token))] == ["2"]


@pytest.mark.parametrize("token", ["", "x", "f/1", "f/" + "9" * 56, "f/" + "0" * 55 + "x"])
def test_a_token_that_was_never_given_out_is_refused(token: str) -> None:
    with pytest.raises(Refused, match="nextToken is invalid"):
        get(a_call(STREAM), token=token)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_of_an_impossible_size_is_refused(limit: int) -> None:
    with pytest.raises(Refused, match="limit"):
        get(a_call(STREAM), limit=limit)
