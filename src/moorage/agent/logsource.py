"""The containers' log files as the shipper of logs reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from moorage.agent.drivers.logfile import LogCursor, LogLine, LogReader
from moorage.agent.spec import ContainerId


class NodeLogTail:
    """One container's log, from a saved position on. Its methods block, and one thread at a time calls them."""

    def __init__(self, path: Path, position: str) -> None:
        self._path = path
        cursor = msgspec.json.decode(position, type=LogCursor) if position else None
        self._reader = LogReader(path, cursor)

    def size(self) -> int:
        """A number that changes with every write; -1 where there is no file."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return -1
        return hash((found.st_ino, found.st_size)) & 0x7FFF_FFFF_FFFF_FFFF

    def read(self) -> list[tuple[int, str]]:
        """The next whole lines; none at the end."""
        return _timed(self._reader.read())

    def finish(self) -> list[tuple[int, str]]:
        """After the container's end: what never became a whole line."""
        return _timed(self._reader.finish())

    @property
    def position(self) -> str:
        """Where the next tail goes on."""
        return msgspec.json.encode(self._reader.cursor).decode()

    def close(self) -> None:
        self._reader.close()


class NodeLogSource:
    """Logs by container; `path_of` is the node's."""

    def __init__(self, path_of: Callable[[ContainerId], Path]) -> None:
        self._path_of = path_of

    def open(self, container: ContainerId, position: str) -> NodeLogTail:
        """Begins anew where the position cannot be read."""
        try:
            return NodeLogTail(self._path_of(container), position)
        except msgspec.DecodeError:
            return NodeLogTail(self._path_of(container), "")


def _timed(lines: list[LogLine]) -> list[tuple[int, str]]:
    return [(int(line.at_s * 1000), line.text) for line in lines]
