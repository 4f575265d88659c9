"""Directory trees as a whole: to the disk, and away."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(directory: Path) -> None:
    """Everything written so far to the file system of `directory` is on the disk when this returns."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(directory))
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, however deep; nothing happens where it is absent.

    Iterative, since a hostile layer may nest deeper than any recursion can follow.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    empty(fd)
    path.rmdir()


def empty(fd: int) -> None:
    """Empty the directory `fd` and close it. `..` is safe: nobody else moves things in there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    above: list[tuple[bytes, list[bytes]]] = []  # the names of the way down, and what is left at each level
    left = _unlink_files(fd)
    try:
        while left or above:
            if left:
                name = left.pop()
                below = os.open(name, flags, dir_fd=fd)
                above.append((name, left))
                os.close(fd)
                fd = below
                left = _unlink_files(fd)
            else:
                name, left = above.pop()
                up = os.open("..", flags, dir_fd=fd)
                os.close(fd)
                fd = up
                os.rmdir(name, dir_fd=fd)
    finally:
        os.close(fd)


def _unlink_files(fd: int) -> list[bytes]:
    """Unlink what is no directory; the names of those that are."""
    directories = []
    with os.scandir(fd) as entries:
        listed = [(os.fsencode(each.name), each.is_dir(follow_symlinks=False)) for each in entries]
    for name, is_directory in listed:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=fd)
    return directories
