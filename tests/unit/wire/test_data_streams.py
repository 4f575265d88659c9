"""The stream of a data channel: whatever is dropped, doubled or late, the other end reads what was sent."""

from __future__ import annotations

import itertools
import uuid

from hypothesis import given
from hypothesis import strategies as st

from moorage.wire.data_channel import FIN, SYN, Frame, decode, encode
from moorage.wire.data_stream import RESEND_AFTER_MAX_S, RESEND_AFTER_S, WINDOW, DataStream

_numbers = itertools.count()


def new_id() -> str:
    return str(uuid.UUID(int=next(_numbers)))


def server() -> DataStream:
    return DataStream("output_stream_data", new_id)


def client() -> DataStream:
    return DataStream("input_stream_data", new_id)


def payloads(stream: DataStream, messages: list[bytes], *, accept: bool = True) -> list[bytes]:
    frames = [stream.receive(one, 0, accept=accept) for one in messages]
    return [frame.payload for frame in frames if frame is not None]


@given(st.lists(st.binary(max_size=20), max_size=30), st.data())
def test_all_arrives_once_and_in_order_through_a_bad_line(sent: list[bytes], data: st.DataObject) -> None:
    ours, theirs, read = server(), client(), []
    for payload in sent:
        ours.send(1, payload, 0.0, 0)
    now_s = 0.0
    for round_ in range(100):
        good = round_ > 5
        for message in ours.take():
            copies = 1 if good else data.draw(st.integers(0, 2))
            accept = good or data.draw(st.booleans())
            for _ in range(copies):
                read += payloads(theirs, [message], accept=accept)
        for message in theirs.take():
            for _ in range(1 if good else data.draw(st.integers(0, 2))):
                assert ours.receive(message, 0) is None
        if ours.settled:
            break
        assert ours.due_s is not None
        now_s = max(now_s, ours.due_s)
        ours.resend(now_s)
    assert read == sent
    assert ours.settled


def test_the_first_message_says_that_it_is() -> None:
    stream = server()
    stream.send(1, b"a", 0.0, 0)
    stream.send(1, b"b", 0.0, 0)
    first, second = map(decode, stream.take())
    assert (first.sequence, first.flags, second.sequence, second.flags) == (0, SYN, 1, 0)


def test_an_acknowledgement_names_the_message_it_is_for() -> None:
    ours, theirs = server(), client()
    ours.send(1, b"a", 0.0, 0)
    (message,) = ours.take()
    theirs.receive(message, 0)
    (answer,) = map(decode, theirs.take())
    assert (answer.kind, answer.flags) == ("acknowledge", SYN | FIN)
    assert answer.payload == (
        b'{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"%s",'
        b'"AcknowledgedMessageSequenceNumber":0,"IsSequentialMessage":true}' % decode(message).id.encode()
    )


def test_a_message_is_sent_again_ever_more_rarely() -> None:
    stream = server()
    stream.send(1, b"a", 0.0, 0)
    (first,) = stream.take()
    waits, now_s = [], 0.0
    for _ in range(6):
        assert stream.due_s is not None
        waits.append(stream.due_s - now_s)
        now_s = stream.due_s
        stream.resend(now_s - 0.01)
        assert stream.take() == []
        stream.resend(now_s)
        assert stream.take() == [first]
    assert waits[0] == RESEND_AFTER_S
    assert waits == sorted(waits)
    assert waits[-1] == RESEND_AFTER_MAX_S


def test_the_window_is_all_that_may_be_unacknowledged() -> None:
    stream = server()
    for _ in range(WINDOW):
        assert stream.room > 0
        stream.send(1, b"a", 0.0, 0)
    assert stream.room == 0


def test_messages_outside_the_stream_are_handed_over() -> None:
    stream = client()
    frame = Frame(kind="channel_closed", id=new_id(), created_ms=0, payload=b"{}")
    assert stream.receive(encode(frame), 0) == frame
    assert stream.take() == []
