"""Log streams and how they are listed."""

from __future__ import annotations

import pytest

from moorage.api.call import Call
from moorage.api.logs.streams import (
    DeleteLogStreamRequest,
    DescribeLogStreamsRequest,
    DescribeLogStreamsResponse,
    delete_log_stream,
    describe_log_streams,
)
from moorage.base.errors import Refused
from tests.unit.api.logs.logged import GROUP, NOW_MS, a_call, add_stream, done, put


def listed(call: Call, request: DescribeLogStreamsRequest) -> DescribeLogStreamsResponse:
    return done(describe_log_streams(call, request))


def names(answer: DescribeLogStreamsResponse) -> list[str]:
    return [stream.log_stream_name for stream in answer.log_streams]


def test_a_stream_tells_its_first_and_last_event() -> None:
    call = a_call("a", "empty")
    put(call, (-5000, "one"), (-1000, "two"), stream="a")
    stream, empty = listed(call, DescribeLogStreamsRequest(log_group_name=GROUP)).log_streams
    assert stream.arn == f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:a"
    assert (stream.first_event_timestamp, stream.last_event_timestamp) == (NOW_MS - 5000, NOW_MS - 1000)
    assert stream.last_ingestion_time == NOW_MS
    assert (empty.first_event_timestamp, empty.last_ingestion_time) == (None, None)


def test_a_stream_is_there_once_and_only_in_an_existing_group() -> None:
    call = a_call("a")
    with pytest.raises(Refused, match="The specified log stream already exists"):
        add_stream(call, "a")
    with pytest.raises(Refused, match=r"The specified log group does not exist\."):
        add_stream(call, "a", group="nowhere")


@pytest.mark.parametrize("name", ["", "a:b", "a*", "x" * 513])
def test_a_name_that_breaks_the_rules_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="logStreamName"):
        add_stream(a_call(), name)


def test_streams_are_listed_by_name_either_way_and_by_prefix() -> None:
    call = a_call("b", "a", "ab")
    assert names(listed(call, DescribeLogStreamsRequest(log_group_name=GROUP))) == ["a", "ab", "b"]
    assert names(listed(call, DescribeLogStreamsRequest(log_group_name=GROUP, descending=True))) == ["b", "ab", "a"]
    prefixed = DescribeLogStreamsRequest(log_group_name=GROUP, log_stream_name_prefix="a")
    assert names(listed(call, prefixed)) == ["a", "ab"]


def test_streams_are_listed_by_their_last_event() -> None:
    call = a_call("a", "b", "c")
    put(call, (-1, "x"), stream="a")
    put(call, (-3, "x"), stream="b")
    by_time = DescribeLogStreamsRequest(log_group_name=GROUP, order_by="LastEventTime", descending=True)
    assert names(listed(call, by_time)) == ["a", "b", "c"]
    mixed = DescribeLogStreamsRequest(log_group_name=GROUP, order_by="LastEventTime", log_stream_name_prefix="a")
    with pytest.raises(Refused, match="Cannot order by LastEventTime with a logStreamNamePrefix"):
        describe_log_streams(call, mixed)


@pytest.mark.parametrize("order", ["LogStreamName", "LastEventTime"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_every_stream_once(order: str, descending: bool) -> None:
    call = a_call(*(f"s{number}" for number in range(7)))
    for number in range(5):
        put(call, (-(number % 2), "x"), stream=f"s{number}")
    whole = DescribeLogStreamsRequest(
        log_group_name=GROUP,
        order_by="LastEventTime" if order == "LastEventTime" else "LogStreamName",
        descending=descending,
    )
    seen: list[str] = []
    token: str | None = None
    while not seen or token:
        request = DescribeLogStreamsRequest(
            log_group_name=GROUP, order_by=whole.order_by, descending=descending, limit=3, next_token=token
        )
        answer = listed(call, request)
        seen += names(answer)
        token = answer.next_token
    assert seen == names(listed(call, whole))


@pytest.mark.parametrize(
    "request_",
    [
        DescribeLogStreamsRequest(),
        DescribeLogStreamsRequest(log_group_name=GROUP, log_group_identifier=GROUP),
        DescribeLogStreamsRequest(log_group_name=GROUP, limit=0),
        DescribeLogStreamsRequest(log_group_name=GROUP, next_token="5b5d"),
        DescribeLogStreamsRequest(log_group_identifier="arn:aws:s3:::bucket"),
    ],
)
def test_what_cannot_be_listed_is_refused(request_: DescribeLogStreamsRequest) -> None:
    with pytest.raises(Refused) as refusal:
        describe_log_streams(a_call(), request_)
    assert refusal.value.code == "InvalidParameterException"


def test_a_group_is_also_known_by_its_arn() -> None:
    call = a_call("a")
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert names(listed(call, DescribeLogStreamsRequest(log_group_identifier=arn))) == ["a"]
    assert names(listed(call, DescribeLogStreamsRequest(log_group_identifier=GROUP))) == ["a"]


def test_a_deleted_stream_begins_anew_when_it_is_created_again() -> None:
    call = a_call("a")
    put(call, (0, "x"), stream="a")
    delete_log_stream(call, DeleteLogStreamRequest(log_group_name=GROUP, log_stream_name="a"))
    with pytest.raises(Refused, match=r"The specified log stream does not exist\."):
        delete_log_stream(call, DeleteLogStreamRequest(log_group_name=GROUP, log_stream_name="a"))
    add_stream(call, "a")
    (stream,) = listed(call, DescribeLogStreamsRequest(log_group_name=GROUP)).log_streams
    assert stream.last_event_timestamp is None
