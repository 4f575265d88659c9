"""Who a container's process runs as: the `user` of a task definition against the image's own passwd and group.

Files of the image are read as a process inside it would read them: no symbolic link leads out.
"""

from __future__ import annotations

import errno
import os
from typing import Final

import msgspec

from moorage.agent.drivers import syscalls
from moorage.agent.spec import DriverError

_ID_MAX: Final = 65_535  # ids beyond a user namespace's range mean nothing inside it
_FILE_BYTES_MAX: Final = 4 << 20  # of passwd or group: tens of thousands of lines, and no more than that in memory


class Account(msgspec.Struct, frozen=True, kw_only=True):
    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # supplementary
    home: str = "/"


def resolve(root: int, user: str) -> Account:
    """The account that `user` names: "", name, uid, name:group or uid:gid. `root` is an open image root."""
    who, _, group = user.partition(":")
    who = who or "0"
    entry = _find(_lines(root, "etc/passwd", 7), who)
    if entry is None and not who.isdecimal():
        raise _unknown("user", who)
    uid = int(entry[2]) if entry else int(who)
    gid = int(entry[3]) if entry else 0
    home = entry[5] if entry and entry[5] else "/"
    groups: tuple[int, ...] = ()
    known = _lines(root, "etc/group", 4)
    if group:
        found = _find(known, group)
        if found is None and not group.isdecimal():
            raise _unknown("group", group)
        gid = int(found[2]) if found else int(group)
    elif entry:
        groups = tuple(sorted({int(line[2]) for line in known if entry[0] in line[3].split(",")} - {gid}))
    if uid > _ID_MAX or gid > _ID_MAX:
        raise DriverError("CannotCreateContainerError", f"user {user!r}: ids end at {_ID_MAX}")
    return Account(uid=uid, gid=gid, groups=groups, home=home)


def _find(lines: list[list[str]], wanted: str) -> list[str] | None:
    """By name, and where no name matches, by number: names win even if they look like numbers."""
    for line in lines:
        if line[0] == wanted:
            return line
    return next((line for line in lines if line[2] == wanted), None)


def _lines(root: int, path: str, fields: int) -> list[list[str]]:
    try:
        fd = syscalls.open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            return []
        raise
    with open(fd, "rb") as file:
        text = file.read(_FILE_BYTES_MAX).decode(errors="replace")
    split = (line.split(":") for line in text.splitlines())
    return [line for line in split if len(line) == fields and line[2].isdecimal() and _has_group(line)]


def _has_group(line: list[str]) -> bool:
    return len(line) == 4 or line[3].isdecimal()


def _unknown(kind: str, name: str) -> DriverError:
    return DriverError("CannotCreateContainerError", f"unable to find {kind} {name}: no matching entry in the image")
