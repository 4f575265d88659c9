"""Image archives: `docker save`, OCI layouts (a directory or a tar), and plain root file systems.

Only what is asked for is read. Blobs are looked up by names made from verified digests, or in the table of a
tar's own entries, so nothing in an archive can point out of it. Each blob is verified as it is read.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from moorage.oci import compression, layout, rootfs
from moorage.oci.digest import Readable
from moorage.oci.errors import ImageCorrupt, ImageNotFound
from moorage.oci.manifest import ContainerConfig, Platform
from moorage.oci.source import ImageSource
from moorage.oci.streams import FileSlice
from moorage.oci.tar import TarReader

# How many links inside an archive are followed to a blob: `docker save` of old made one step.
_LINKS_MAX: Final = 4
# Entries of an image archive, where each is a blob or a small document. A root file system may have more, but
# is told apart by then.
_INDEXED_MAX: Final = 100_000
_COPY_BYTES: Final = 1024 * 1024


class _Place(msgspec.Struct, frozen=True):
    offset: int
    size: int
    link: str = ""


@contextmanager
def opened(
    path: Path, wanted: Platform, *, name: str | None = None, config: ContainerConfig | None = None
) -> Iterator[ImageSource]:
    """The image in the archive at `path`, for as long as the `with` lasts.

    `name` chooses among several images in one archive; `config` is what a plain root file system lacks.
    """
    if path.is_dir():
        yield layout.read(layout.DirectoryFiles(path), wanted, name)
        return
    with _plain(path) as (raw, tar):
        files = _index(tar)
        if files is not None and layout.is_layout(files):
            yield layout.read(files, wanted, name)
        elif files is not None and files.has("manifest.json"):
            yield layout.read_docker(files, wanted, name)
        else:
            yield rootfs.source(raw, tar, wanted, config or ContainerConfig())


@contextmanager
def _plain(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file as it is, and its bytes without compression, in a temporary file where they are needed."""
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise ImageNotFound(f"{path}: no such file") from None
    with raw:
        if compression.detect(raw.read(compression.MAGIC_BYTES)) == "plain":
            raw.seek(0)
            yield raw, raw
            return
        raw.seek(0)
        with tempfile.TemporaryFile(prefix="moorage-archive-") as tar:
            stream = compression.decompressed(raw)
            while piece := stream.read(_COPY_BYTES):
                tar.write(piece)
            tar.flush()
            raw.seek(0)
            with os.fdopen(os.dup(tar.fileno()), "rb") as readable:
                readable.seek(0)
                yield raw, readable


def _index(tar: BinaryIO) -> _TarFiles | None:
    """The archive's table of contents; None where it has more entries than any image archive."""
    places: dict[str, _Place] = {}
    try:
        for entry in TarReader(tar):
            if entry.kind in ("file", "link", "symlink"):
                target = _target(entry.name, entry.link, entry.kind) if entry.link else ""
                name = _normal(entry.name.decode("utf-8", "surrogateescape"))
                places[name] = _Place(entry.offset, entry.size, target)
            if len(places) > _INDEXED_MAX:
                return None
    except ImageCorrupt as error:
        raise ImageCorrupt(f"not an image archive and not a tar of a root file system: {error}") from error
    finally:
        tar.seek(0)
    return _TarFiles(tar.fileno(), places)


def _normal(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


def _target(name: bytes, link: bytes, kind: str) -> str:
    """Where a link leads, from the archive's top; `..` beyond the top stays at the top."""
    text = link.decode("utf-8", "surrogateescape")
    if kind == "link":
        return _normal(text)
    return _normal(posixpath.join(posixpath.dirname(name.decode("utf-8", "surrogateescape")), text))


class _TarFiles:
    """A tar's files by name. Reads go by position, so that several blobs can be read at once."""

    def __init__(self, fd: int, places: dict[str, _Place]) -> None:
        self._fd = fd
        self._places = places

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def open(self, name: str) -> Readable:
        place = self._find(name)
        if place is None:
            raise ImageCorrupt(f"archive: {name} is missing")
        return FileSlice(self._fd, place.offset, place.size)

    def _find(self, name: str) -> _Place | None:
        place = self._places.get(_normal(name))
        for _ in range(_LINKS_MAX):
            if place is None or not place.link:
                return place
            place = self._places.get(place.link)
        return None
