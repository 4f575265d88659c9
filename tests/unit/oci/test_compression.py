"""Compressed streams: every kind is read to its end, every damage is told."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable

import pytest
import zstandard

from moorage.oci.compression import decompressed
from moorage.oci.errors import ImageCorrupt
from moorage.oci.streams import BytesReader

DATA = os.urandom(300_000) + bytes(3_000_000)
KINDS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, zstandard.compress, bz2.compress, lzma.compress]


def _read(data: bytes) -> bytes:
    stream = decompressed(BytesReader(data))
    pieces = []
    while piece := stream.read(70_000):
        assert len(piece) <= 70_000
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("compress", KINDS)
def test_what_was_compressed_comes_back(compress: Callable[[bytes], bytes]) -> None:
    assert _read(compress(DATA)) == DATA


@pytest.mark.parametrize("compress", KINDS[1:])
def test_members_one_after_another_are_one_stream(compress: Callable[[bytes], bytes]) -> None:
    assert _read(compress(DATA) + compress(b"more")) == DATA + b"more"


def test_padding_after_gzip_is_allowed() -> None:
    assert _read(gzip.compress(b"x") + bytes(1000)) == b"x"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_that_ends_too_early_is_refused(compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ImageCorrupt):
        _read(compress(DATA)[:-9])


@pytest.mark.parametrize("compress", KINDS[1:])
def test_a_broken_stream_is_refused(compress: Callable[[bytes], bytes]) -> None:
    good = compress(DATA)
    with pytest.raises(ImageCorrupt):
        _read(good[:6] + b"\xff" * 40 + good[46:])


def test_an_empty_stream_is_empty() -> None:
    assert _read(b"") == b""
