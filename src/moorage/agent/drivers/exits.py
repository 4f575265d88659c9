"""The ends of containers, as conmon leaves them: one file per container, holding its exit code.

conmon writes each file under another name and renames it, so the arrival of a name is the end of a container.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Final

from moorage.agent.spec import ContainerId

_IN_MOVED_TO: Final = 0x80
_EVENT: Final = struct.Struct("iIII")
_READ_BYTES: Final = 65_536

_libc = ctypes.CDLL(None, use_errno=True)


class ExitWatch:
    """An inotify descriptor on the exit directory; readable when containers have ended."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.fd: int = _libc.inotify_init1(ctypes.c_int(os.O_CLOEXEC | os.O_NONBLOCK))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 (see fs.inotify.max_user_instances)")
        mask = ctypes.c_uint32(_IN_MOVED_TO)
        if _libc.inotify_add_watch(ctypes.c_int(self.fd), os.fsencode(directory), mask) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {directory}")

    def take(self) -> tuple[ContainerId, ...]:
        """The containers whose exit files have arrived since the last call; never blocks."""
        found: dict[ContainerId, None] = {}
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return tuple(found)
            offset = 0
            while offset < len(data):
                _, _, _, size = _EVENT.unpack_from(data, offset)
                name = data[offset + 16 : offset + 16 + size].rstrip(b"\0").decode()
                offset += 16 + size
                if "." not in name:  # names with a dot are conmon's unfinished files
                    found[ContainerId(name)] = None

    def close(self) -> None:
        os.close(self.fd)
