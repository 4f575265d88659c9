"""Layers and archives come plain or compressed; what they are is read from their first bytes.

The media type is not asked: tools have mislabelled layers for years, and every runtime looks at the bytes.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import IO, Final, Literal, Protocol, cast

import zstandard

from moorage.oci.digest import Readable
from moorage.oci.errors import ImageCorrupt

Compression = Literal["plain", "gzip", "zstd", "bzip2", "xz"]

_MAGIC: Final[tuple[tuple[bytes, Compression], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
MAGIC_BYTES: Final = 6

# How much is taken from the stream below at a time: large enough for few calls, small enough for cheap buffers.
CHUNK_BYTES: Final = 256 * 1024
# How much one step may inflate to; bounds memory whatever the ratio.
_STEP_BYTES: Final = 1024 * 1024
# The zstd window a layer may ask for. Go's and Docker's readers stop at 128 MiB as well.
_ZSTD_WINDOW_MAX_BYTES: Final = 128 * 1024 * 1024


class _Inflater(Protocol):
    """What `bz2` and `lzma` decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def detect(start: bytes) -> Compression:
    """What a stream with these first bytes is compressed with."""
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    return "plain"


class Pushback:
    """A stream whose first bytes have been looked at and are given again."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.start = b""
        while len(self.start) < MAGIC_BYTES:
            more = stream.read(CHUNK_BYTES)
            if not more:
                break
            self.start += more
        self._held = self.start

    def read(self, size: int, /) -> bytes:
        if self._held:
            piece, self._held = self._held[:size], self._held[size:]
            return piece
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()


def decompressed(stream: Readable) -> Readable:
    """`stream` without its compression; raises `ImageCorrupt` where that is broken or cut short."""
    held = Pushback(stream)
    kind = detect(held.start)
    if kind == "gzip":
        return _GzipReader(held)
    if kind == "zstd":
        return _ZstdReader(held)
    if kind == "bzip2":
        return _InflatingReader(held, bz2.BZ2Decompressor)
    if kind == "xz":
        return _InflatingReader(held, lzma.LZMADecompressor)
    return held


class _GzipReader:
    """gzip members one after another. `zlib` is called directly: the `gzip` module costs twice the time."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(wbits=31)
        self._input = b""
        self._started = False  # bytes of the present member have been seen

    def read(self, size: int, /) -> bytes:
        try:
            return self._read(min(size, _STEP_BYTES))
        except zlib.error as error:
            raise ImageCorrupt(f"layer: broken gzip stream: {error}") from error

    def close(self) -> None:
        self._stream.close()

    def _read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            if not self._input:
                self._input = self._stream.read(CHUNK_BYTES)
                if not self._input:
                    if self._started:
                        raise ImageCorrupt("layer: gzip stream ends too early")
                    return b""
            self._started = True
            piece = self._inflate.decompress(self._input, size)
            self._input = self._inflate.unconsumed_tail
            if piece:
                return piece

    def _next_member(self) -> bool:
        """Zero padding after the last member is allowed, as gzip itself allows it."""
        self._input = self._inflate.unused_data.lstrip(b"\0")
        while not self._input:
            self._input = self._stream.read(CHUNK_BYTES)
            if not self._input:
                return False
            self._input = self._input.lstrip(b"\0")
        self._inflate = zlib.decompressobj(wbits=31)
        return True


class _ZstdReader:
    """zstd frames one after another."""

    def __init__(self, stream: Readable) -> None:
        self._below = stream
        inflate = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX_BYTES)
        self._stream = inflate.stream_reader(
            cast(IO[bytes], _Guarded(stream)), read_size=CHUNK_BYTES, read_across_frames=True, closefd=False
        )

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(min(size, _STEP_BYTES))
        except zstandard.ZstdError as error:
            raise ImageCorrupt(f"layer: broken zstd stream: {error}") from error

    def close(self) -> None:
        self._below.close()


class _Guarded:
    """Gives `zstandard` the only method of a file that it uses."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size if size > 0 else CHUNK_BYTES)


class _InflatingReader:
    """bzip2 and xz, for archives only: no layer media type names them."""

    def __init__(self, stream: Readable, fresh: type[bz2.BZ2Decompressor] | type[lzma.LZMADecompressor]) -> None:
        self._stream = stream
        self._fresh = fresh
        self._inflate: _Inflater = fresh()

    def read(self, size: int, /) -> bytes:
        try:
            return self._read(min(size, _STEP_BYTES))
        except (OSError, lzma.LZMAError) as error:
            raise ImageCorrupt(f"archive: broken compressed stream: {error}") from error

    def close(self) -> None:
        self._stream.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while True:
            if self._inflate.eof:
                data = self._inflate.unused_data or self._stream.read(CHUNK_BYTES)
                if not data:
                    return b""
                self._inflate = self._fresh()
            elif self._inflate.needs_input and not data:
                data = self._stream.read(CHUNK_BYTES)
                if not data:
                    raise ImageCorrupt("archive: compressed stream ends too early")
            piece = self._inflate.decompress(data, size)
            data = b""
            if piece:
                return piece
