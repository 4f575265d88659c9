"""What the image store knows, one small file for each image and each name, written whole or not at all.

Files are the truth, so that two agents of one host may share a store; memory is a copy for the launch path.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from moorage.oci.digest import encoded
from moorage.oci.manifest import ContainerConfig

_T = TypeVar("_T")


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An image of which every layer lies unpacked."""

    digest: str  # what the registry resolves its name to: an index's digest where there is an index
    manifest_digest: str  # of the manifest for this node's platform
    diff_ids: tuple[str, ...]  # lowest first
    stack: tuple[str, ...]  # those of them that are mounted: each once, and none beneath an opaque one
    size_bytes: int  # as pulled
    config: ContainerConfig


class NameRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A reference that was pulled here."""

    reference: str  # canonical
    digest: str


class Records:
    """The records of one store."""

    def __init__(self, root: Path) -> None:
        self._images_directory = root / "images"
        self._names_directory = root / "names"
        for each in (self._images_directory, self._names_directory):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._images: dict[str, ImageRecord] = {}
        self._names: dict[str, NameRecord] = {}

    def image(self, digest: str) -> ImageRecord | None:
        """The image with this digest."""
        if digest not in self._images:
            record = _read(self._image_path(digest), ImageRecord)
            if record is None or record.digest != digest:
                return None
            self._images[digest] = record
        return self._images[digest]

    def named(self, reference: str) -> ImageRecord | None:
        """The image that this canonical reference meant when it was last pulled."""
        name = self._names.get(reference) or _read(self._name_path(reference), NameRecord)
        if name is None or name.reference != reference:
            return None
        self._names[reference] = name
        return self.image(name.digest)

    def images(self) -> list[ImageRecord]:
        """All images, as the files have it."""
        found = (_read(path, ImageRecord) for path in sorted(self._images_directory.glob("*.json")))
        return [each for each in found if each is not None]

    def names(self) -> list[NameRecord]:
        """All names, as the files have it."""
        found = (_read(path, NameRecord) for path in sorted(self._names_directory.glob("*.json")))
        return [each for each in found if each is not None]

    def pulled_at_s(self, reference: str) -> float:
        """When the name was last given another image; 0 where it is not known."""
        try:
            return self._name_path(reference).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def put_image(self, record: ImageRecord) -> None:
        _write(self._image_path(record.digest), msgspec.json.encode(record))
        self._images[record.digest] = record

    def put_name(self, reference: str, digest: str) -> None:
        """Remember a name; a name that already says so costs nothing."""
        record = NameRecord(reference=reference, digest=digest)
        if self._names.get(reference) == record:
            return
        _write(self._name_path(reference), msgspec.json.encode(record))
        self._names[reference] = record

    def drop_name(self, reference: str) -> None:
        self._names.pop(reference, None)
        self._name_path(reference).unlink(missing_ok=True)

    def drop_image(self, digest: str) -> None:
        self._images.pop(digest, None)
        self._image_path(digest).unlink(missing_ok=True)

    def _image_path(self, digest: str) -> Path:
        return self._images_directory / f"{encoded(digest)}.json"

    def _name_path(self, reference: str) -> Path:
        return self._names_directory / f"{hashlib.sha256(reference.encode()).hexdigest()}.json"


def _read(path: Path, shape: type[_T]) -> _T | None:
    """A record, or None where there is none or a broken one: the image is then pulled again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write(path: Path, data: bytes) -> None:
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
