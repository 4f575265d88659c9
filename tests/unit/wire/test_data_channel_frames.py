"""Frames of a data channel: what is written is read again, what is damaged is refused."""

from __future__ import annotations

import hashlib
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.wire.data_channel import PAYLOAD_MAX_BYTES, BadFrame, Frame, decode, encode

U64 = st.integers(0, 2**64 - 1)
FRAMES = st.builds(
    Frame,
    kind=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=32),
    id=st.uuids().map(str),
    created_ms=U64,
    sequence=U64,
    flags=U64,
    payload_type=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=2000),
)


@given(FRAMES)
def test_a_frame_is_read_as_it_was_written(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@given(FRAMES, st.data())
def test_a_damaged_payload_is_never_taken_for_whole(frame: Frame, data: st.DataObject) -> None:
    whole = encode(frame)
    at = data.draw(st.sampled_from([*range(4), *range(80, 112), *range(116, len(whole))]))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadFrame):
        decode(bytes(damaged))


@given(st.binary(max_size=300))
def test_anything_else_is_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(data)


@given(FRAMES, st.integers(1, 500))
def test_a_frame_that_is_cut_or_has_a_tail_is_refused(frame: Frame, cut: int) -> None:
    whole = encode(frame)
    for other in (whole[: max(0, len(whole) - cut)], whole + b"x" * cut):
        with pytest.raises(BadFrame):
            decode(other)


def test_fields_lie_where_the_protocol_has_them() -> None:
    identity = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    frame = Frame(
        kind="input_stream_data", id=str(identity), created_ms=7, sequence=8, flags=3, payload_type=1, payload=b"ls\n"
    )
    data = encode(frame)
    assert struct.unpack_from(">I", data, 0) == (116,)
    assert data[4:36] == b"input_stream_data" + b" " * 15
    assert struct.unpack_from(">IQQQ", data, 36) == (1, 7, 8, 3)
    assert data[64:80] == bytes.fromhex("8899aabbccddeeff0011223344556677")
    assert data[80:112] == hashlib.sha256(b"ls\n").digest()
    assert struct.unpack_from(">II", data, 112) == (1, 3)
    assert data[120:] == b"ls\n"


def test_a_payload_beyond_the_bound_is_refused() -> None:
    frame = Frame(
        kind="input_stream_data", id=str(uuid.UUID(int=1)), created_ms=0, payload=bytes(PAYLOAD_MAX_BYTES + 1)
    )
    with pytest.raises(BadFrame):
        decode(encode(frame))
