"""Reading a container's log while its supervisor writes it.

Each line is `<time> <stream> <F|P> <text>`, Kubernetes' format: F ends what the container wrote as one line, P is a
piece of a longer one. conmon starts the file anew (another inode under the same name) when it reaches its bound; a
reader that holds the old one open reads that to its end first, so it loses nothing unless it was away.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

Stream = Literal["stdout", "stderr"]

READ_BYTES: Final = 1 << 20  # in one call: about ten thousand lines, some milliseconds of work
LINE_BYTES_MAX: Final = 256 * 1024  # what CloudWatch Logs takes as one event; a longer line is cut into such pieces
_LINE_PARTS: Final = 4


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    at_s: float  # epoch seconds
    stream: Stream
    text: str


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a line whose end is not written yet."""

    at_s: float
    stream: Stream
    data: bytes


class LogCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where reading stopped; the next reader, perhaps of another process, goes on from here."""

    inode: int = 0
    offset: int = 0
    pieces: tuple[Piece, ...] = ()


class LogReader:
    """An incremental reader of one container's log. Not for two threads at once."""

    def __init__(self, path: Path, cursor: LogCursor | None = None) -> None:
        self._path = path
        cursor = cursor or LogCursor()
        self._pieces = {piece.stream: piece for piece in cursor.pieces}
        self._offset = cursor.offset
        self._inode = cursor.inode
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def cursor(self) -> LogCursor:
        pieces = tuple(self._pieces[stream] for stream in sorted(self._pieces))
        return LogCursor(inode=self._inode, offset=self._offset, pieces=pieces)

    def read(self) -> list[LogLine]:
        """The lines that were finished since the last call, at most a mebibyte of them; none: nothing new."""
        data = self._next_bytes()
        end = data.rfind(b"\n") + 1
        self._offset += end
        found: list[LogLine] = []
        for line in data[:end].split(b"\n")[:-1]:
            found.extend(self._take(line))
        return found

    def finish(self) -> list[LogLine]:
        """After the container's end: what it wrote without ending the line."""
        left = [LogLine(at_s=p.at_s, stream=p.stream, text=_text(p.data)) for p in self._pieces.values()]
        self._pieces.clear()
        return sorted(left, key=lambda line: line.at_s)

    def _next_bytes(self) -> bytes:
        if self._fd < 0 and not self._open():
            return b""
        data = os.pread(self._fd, READ_BYTES, self._offset)
        if b"\n" in data:
            return data
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino != self._inode:  # the old file is read to its end: go on in the new one
                self.close()
                if self._open():
                    return os.pread(self._fd, READ_BYTES, self._offset)
        return b""

    def _open(self) -> bool:
        try:
            self._fd = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        inode = os.fstat(self._fd).st_ino
        if inode != self._inode:
            self._inode, self._offset = inode, 0
        return True

    def _take(self, line: bytes) -> Iterator[LogLine]:
        parts = line.split(b" ", _LINE_PARTS - 1)
        if len(parts) < _LINE_PARTS or parts[1] not in (b"stdout", b"stderr"):
            return  # cut off by a full disk
        stream: Stream = "stdout" if parts[1] == b"stdout" else "stderr"
        begun = self._pieces.pop(stream, None)
        at_s = _seconds(parts[0]) if begun is None else begun.at_s
        data = parts[3] if begun is None else begun.data + parts[3]
        while len(data) > LINE_BYTES_MAX:
            yield LogLine(at_s=at_s, stream=stream, text=_text(data[:LINE_BYTES_MAX]))
            data = data[LINE_BYTES_MAX:]
        if parts[2] == b"P":
            self._pieces[stream] = Piece(at_s=at_s, stream=stream, data=data)
        else:
            yield LogLine(at_s=at_s, stream=stream, text=_text(data))


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _seconds(stamp: bytes) -> float:
    """`2026-01-02T03:04:05.123456789+00:00` in epoch seconds; nanoseconds are beyond a float and beyond need."""
    try:
        return datetime.fromisoformat(stamp.decode()).timestamp()
    except ValueError:
        return 0.0
