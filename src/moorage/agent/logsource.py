"""The containers' log files as the shipper of logs reads them: positions that outlive the agent, lines put together.

conmon writes the k8s-file format: `<RFC 3339 time> <stream> <P or F> <text>`, a line of more than its buffer in
pieces of which only the last is marked F. At its size limit conmon begins the file anew under the same name: hence a
position names the inode it belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from moorage.agent.spec import ContainerId

# One reading: about as much as one batch of PutLogEvents carries.
READ_BYTES: Final = 1_000_000
# A line whose end does not come within this many bytes is cut, so that a program that never ends a line is seen.
LINE_BYTES_MAX: Final = READ_BYTES


class NodeLogSource:
    """Logs by container; `path_of` is the node's."""

    def __init__(self, path_of: Callable[[ContainerId], Path]) -> None:
        self._path_of = path_of

    def size(self, container: ContainerId) -> int:
        """A number that changes with every write; -1 where there is no file."""
        try:
            found = os.stat(self._path_of(container))
        except FileNotFoundError:
            return -1
        return hash((found.st_ino, found.st_size)) & 0x7FFF_FFFF_FFFF_FFFF

    def read(self, container: ContainerId, position: str, *, final: bool) -> tuple[list[tuple[int, str]], str]:
        """Whole lines after `position`, and the position after them."""
        inode, _, offset = position.partition(":")
        try:
            file = open(self._path_of(container), "rb")  # noqa: SIM115  # closed below, after the look at its inode
        except FileNotFoundError:
            return [], position
        with file:
            now = str(os.fstat(file.fileno()).st_ino)
            start = int(offset) if inode == now and offset else 0
            file.seek(start)
            data = file.read(READ_BYTES)
        lines, used = whole_lines(data, final=final and len(data) < READ_BYTES)
        return lines, f"{now}:{start + used}" if used else position


def whole_lines(data: bytes, *, final: bool) -> tuple[list[tuple[int, str]], int]:
    """(time in ms, text) of each line that has its end in `data`, and how many bytes they take.

    A line without its end stays for the next time, unless there is no next time or it is all that fits.
    """
    lines: list[tuple[int, str]] = []
    pieces: list[bytes] = []
    time_ms = used = at = 0
    while (end := data.find(b"\n", at)) >= 0:
        stamp, _, rest = data[at:end].partition(b" ")
        _, _, rest = rest.partition(b" ")
        mark, _, text = rest.partition(b" ")
        at = end + 1
        if not pieces:
            time_ms = _milliseconds(stamp)
        pieces.append(text)
        if not mark.startswith(b"P"):
            lines.append((time_ms, b"".join(pieces).decode("utf-8", "replace")))
            pieces, used = [], at
    full = not lines and len(data) >= LINE_BYTES_MAX
    if pieces and (final or full):
        lines.append((time_ms, b"".join(pieces).decode("utf-8", "replace")))
        used = at
    return lines, used


def _milliseconds(stamp: bytes) -> int:
    """0 for what is no time: the shipper puts it beside its neighbours."""
    try:
        return int(datetime.fromisoformat(stamp.decode("ascii")).timestamp() * 1000)
    except ValueError:
        return 0
