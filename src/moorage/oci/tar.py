"""Tar streams read one entry after another: ustar, PAX and GNU, from sources that may be hostile.

The standard library's reader takes PAX and GNU headers of any length into memory, a way to exhaust a node with
a small compressed layer, and costs three times as much per entry. Nothing is ever written here.

Sources: POSIX.1-2017 pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from moorage.oci.digest import Readable
from moorage.oci.errors import ImageCorrupt, ImageUnsupported

BLOCK_BYTES: Final = 512
READ_BYTES: Final = 256 * 1024
# A PAX or GNU extension of one entry. Go's reader, which every other container runtime uses, has this bound.
EXTENSION_MAX_BYTES: Final = 1024 * 1024
# PATH_MAX: no system call could use a longer one.
PATH_MAX_BYTES: Final = 4096
# What the kernel takes as xattr value (XATTR_SIZE_MAX) and how many an entry reasonably carries.
XATTRS_MAX: Final = 64

Kind = Literal["file", "link", "symlink", "char", "block", "dir", "fifo"]

_KINDS: Final[dict[bytes, Kind]] = {
    b"\0": "file",
    b"0": "file",
    b"7": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
_ZERO_BLOCK: Final = bytes(BLOCK_BYTES)
_XATTR_PREFIX: Final = b"SCHILY.xattr."


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One member's header. Paths are bytes, exactly as stored."""

    name: bytes
    kind: Kind
    mode: int  # permission bits with setuid, setgid, sticky
    uid: int
    gid: int
    size: int  # of the content that follows; 0 unless a file
    mtime_ns: int
    link: bytes = b""  # target of a link or symlink
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = {}
    offset: int  # where the content begins in the stream


class TarReader:
    """Iterate for the headers; between two of them `content` gives the present entry's bytes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._seek = stream if isinstance(stream, io.BufferedReader) and stream.seekable() else None
        self._buffer = b""
        self._at = 0  # in the buffer
        self._offset = 0  # in the stream
        self._left = 0  # content of the present entry not yet given
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry

    def content(self) -> Iterator[bytes]:
        """The present entry's bytes, in pieces."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece

    def _next(self) -> Entry | None:
        """The next real entry, with the extensions that precede it applied."""
        pax: dict[bytes, bytes] = {}
        long_name = long_link = None
        while True:
            self._discard(self._left + self._padding)
            self._left = self._padding = 0
            header = self._header()
            if header is None:
                return None
            kind = header[156:157]
            if kind == b"x":
                pax |= _pax_records(self._extension(header))
            elif kind == b"L":
                long_name = self._extension(header).rstrip(b"\0")
            elif kind == b"K":
                long_link = self._extension(header).rstrip(b"\0")
            elif kind in (b"g", b"V"):
                # Global attributes (git's comment) and volume labels say nothing about any file.
                self._extension(header)
            else:
                return self._entry(header, pax, long_name, long_link)

    def _header(self) -> bytes | None:
        """The next header block; None at the end of the archive. A cut inside a block is a cut archive."""
        first = self._some(BLOCK_BYTES, end_allowed=True)
        if not first:
            return None
        header = first + self._exactly(BLOCK_BYTES - len(first))
        if header == _ZERO_BLOCK:
            return None
        if _number(header[148:156], "checksum") != sum(header[:148]) + 256 + sum(header[156:]):
            raise ImageCorrupt(f"tar: broken header at byte {self._offset - BLOCK_BYTES}")
        return header

    def _extension(self, header: bytes) -> bytes:
        size = _number(header[124:136], "size")
        if size > EXTENSION_MAX_BYTES:
            raise ImageCorrupt(f"tar: extended header of {size} bytes, at most {EXTENSION_MAX_BYTES} are read")
        data = self._exactly(size)
        self._padding = -size % BLOCK_BYTES
        return data

    def _entry(
        self, header: bytes, pax: dict[bytes, bytes], long_name: bytes | None, long_link: bytes | None
    ) -> Entry:
        name = pax.get(b"path", long_name if long_name is not None else _stored_name(header))
        link = pax.get(b"linkpath", long_link if long_link is not None else _text(header[157:257]))
        kind = _kind(header, name)
        _check_paths(name, link)
        if b"GNU.sparse.major" in pax or b"GNU.sparse.map" in pax:
            raise _sparse(name)
        size = _pax_int(pax, b"size", header[124:136])
        # Only files have content; old tools leave a size on links and directories that nothing follows.
        size = size if kind == "file" else 0
        self._left, self._padding = size, -size % BLOCK_BYTES
        return Entry(
            name=name,
            kind=kind,
            mode=_number(header[100:108], "mode") & 0o7777,
            uid=_pax_int(pax, b"uid", header[108:116]),
            gid=_pax_int(pax, b"gid", header[116:124]),
            size=size,
            mtime_ns=_mtime_ns(pax, header),
            link=link,
            major=_number(header[329:337], "major") if kind in ("char", "block") else 0,
            minor=_number(header[337:345], "minor") if kind in ("char", "block") else 0,
            xattrs=_xattrs(pax),
            offset=self._offset,
        )

    def _some(self, most: int, *, end_allowed: bool = False) -> bytes:
        """Between 1 and `most` bytes."""
        if self._at >= len(self._buffer):
            self._buffer, self._at = self._stream.read(READ_BYTES), 0
            if not self._buffer:
                if end_allowed:
                    return b""
                raise ImageCorrupt(f"tar: ends too early, at byte {self._offset}")
        piece = self._buffer[self._at : self._at + most]
        self._at += len(piece)
        self._offset += len(piece)
        return piece

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            pieces.append(self._some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def _discard(self, size: int) -> None:
        held = len(self._buffer) - self._at
        if self._seek is not None and size > held + READ_BYTES:
            end = self._seek.seek(0, io.SEEK_END)
            if self._offset + size > end:
                raise ImageCorrupt(f"tar: ends too early, at byte {end}")
            self._offset += size
            self._buffer, self._at = b"", 0
            self._seek.seek(self._offset)
            return
        while size:
            size -= len(self._some(size))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes, what: str) -> int:
    """Octal digits, or GNU's base-256 where the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
        # A negative base-256 number (first byte 0xff) would be a date before 1970 and nothing else.
        return 0 if field[0] & 0x40 else value
    digits = _text(field).strip(b" ")
    if not digits:
        return 0
    try:
        return int(digits, 8)
    except ValueError:
        raise ImageCorrupt(f"tar: the {what} field {field!r} is no octal number") from None


def _stored_name(header: bytes) -> bytes:
    name = _text(header[0:100])
    # Only POSIX headers ("ustar\0") have a prefix; GNU keeps times where it would be.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _kind(header: bytes, name: bytes) -> Kind:
    code = header[156:157]
    if code == b"S":
        raise _sparse(name)
    kind = _KINDS.get(code)
    if kind is None:
        raise ImageUnsupported(f"tar: {_shown(name)} has the unknown entry type {code!r}")
    # Version 7 tar had no directories but files with a slash at the end.
    return "dir" if kind == "file" and name.endswith(b"/") else kind


def _sparse(name: bytes) -> ImageUnsupported:
    return ImageUnsupported(
        f"tar: {_shown(name)} is stored as a sparse file, which no layer format allows; write the tar without "
        "--sparse"
    )


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "replace"))


def _check_paths(name: bytes, link: bytes) -> None:
    for path in (name, link):
        if len(path) >= PATH_MAX_BYTES:
            raise ImageCorrupt(f"tar: path of {len(path)} bytes: {_shown(path)}")
        if b"\0" in path:
            raise ImageCorrupt(f"tar: path with a zero byte: {_shown(path)}")


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """`<length> <key>=<value>\\n`, the length counting itself."""
    records = {}
    at = 0
    while at < len(data) and data[at] != 0:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise ImageCorrupt("tar: broken PAX record")
        end = at + int(digits)
        equals = data.find(b"=", space, end)
        if end > len(data) or equals < 0 or end <= space or data[end - 1 : end] != b"\n":
            raise ImageCorrupt("tar: broken PAX record")
        records[data[space + 1 : equals]] = data[equals + 1 : end - 1]
        at = end
    return records


def _pax_int(pax: dict[bytes, bytes], key: bytes, field: bytes) -> int:
    text = pax.get(key)
    if text is None:
        return _number(field, key.decode())
    if not text.isdigit() or len(text) > 19:
        raise ImageCorrupt(f"tar: PAX {key.decode()} {text[:40]!r} is no number")
    return int(text)


def _mtime_ns(pax: dict[bytes, bytes], header: bytes) -> int:
    text = pax.get(b"mtime")
    if text is None:
        return _number(header[136:148], "mtime") * 1_000_000_000
    whole, _, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    if not whole.lstrip(b"-").isdigit() or len(whole) > 12 or (fraction and not fraction.isdigit()):
        raise ImageCorrupt(f"tar: PAX mtime {text[:40]!r} is no number")
    part = int(fraction[:9].ljust(9, b"0") or b"0")
    return int(whole) * 1_000_000_000 + (-part if negative else part)


def _xattrs(pax: dict[bytes, bytes]) -> dict[bytes, bytes]:
    found = {key.removeprefix(_XATTR_PREFIX): value for key, value in pax.items() if key.startswith(_XATTR_PREFIX)}
    if len(found) > XATTRS_MAX:
        raise ImageCorrupt(f"tar: {len(found)} extended attributes on one entry, at most {XATTRS_MAX} are read")
    return found
