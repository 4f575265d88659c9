"""Small pieces for reading streams of bytes."""

from __future__ import annotations

import os
from typing import Final

from moorage.oci.digest import Hash, Readable
from moorage.oci.errors import ImageCorrupt

COPY_BYTES: Final = 1024 * 1024


class FileSlice:
    """A part of an open file, read by position; closing it leaves the file open."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._at = offset
        self._end = offset + size

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        self._end = self._at


class BytesReader:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int, /) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self._at = len(self._data)


class HashingReader:
    """Passes a stream on and hashes what goes by; its owner compares."""

    def __init__(self, stream: Readable, state: Hash) -> None:
        self._stream = stream
        self._state = state
        self.count = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._state.update(data)
        self.count += len(data)
        return data

    def close(self) -> None:
        self._stream.close()

    def hexdigest(self) -> str:
        return self._state.hexdigest()


def drain(stream: Readable) -> int:
    """Read to the end; how many bytes that was."""
    count = 0
    while piece := stream.read(COPY_BYTES):
        count += len(piece)
    return count


def read_all(stream: Readable, most: int, what: str) -> bytes:
    """Everything in `stream`, which must not be longer than `most`; the stream is closed."""
    pieces: list[bytes] = []
    count = 0
    try:
        while piece := stream.read(COPY_BYTES):
            pieces.append(piece)
            count += len(piece)
            if count > most:
                raise ImageCorrupt(f"{what}: longer than {most} bytes")
    finally:
        stream.close()
    return b"".join(pieces)
