"""The registry's blobs on disk, content-addressed; every file appears whole or not at all.

    content/<algorithm>/<2 hex>/<hex>              each blob once
    repositories/<name>/_blobs/<algorithm>/<hex>   a hard link to it for each repository that has it
    repositories/<name>/_uploads/<id>              what has arrived of an upload

The file system counts the references: a blob whose only link is the one in `content` belongs to nobody and is
removed. A crash between two links leaves at worst such a blob, which `sweep` finds.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from moorage.oci.digest import Hash, algorithm, digest_of, encoded, hasher

# ECR's bound on a layer, 52,000 MiB: images that could not go there are not taken here either.
BLOB_MAX_BYTES: Final = 52_000 * 1024 * 1024
# One read or write of the disk: few switches of threads, little memory for each transfer.
PIECE_BYTES: Final = 1024 * 1024
# How files begin that are being written; no tag and no digest does. A crash may leave some.
UNFINISHED: Final = ".new-"


class Blobs:
    """All blobs of a registry. Blocking; every method may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self._content = root / "content"
        self._repositories = root / "repositories"
        for each in (root, self._content, self._repositories):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()  # between looking at a blob's links and changing them

    def path(self, repository: str, digest: str) -> Path:
        """Where a repository's blob is, if it has it."""
        return self._repositories / repository / "_blobs" / algorithm(digest) / encoded(digest)

    def size_bytes(self, repository: str, digest: str) -> int | None:
        """The blob's size; None where the repository does not have it."""
        try:
            return self.path(repository, digest).stat().st_size
        except FileNotFoundError:
            return None

    def adopt(self, upload: Path, repository: str, digest: str) -> None:
        """Make a complete, verified upload a blob of the repository; the upload is gone afterwards."""
        with upload.open("rb") as file:
            os.fsync(file.fileno())
        content = self._content_path(digest)
        make_directories(content.parent)
        with self._lock:
            try:
                os.link(upload, content)
            except FileExistsError:
                pass
            else:
                sync_directory(content.parent)
            self._link(content, repository, digest)
        upload.unlink()

    def mount(self, source: str | None, repository: str, digest: str) -> bool:
        """Give a repository a blob of another one, or of any; False where there is none to give."""
        if source is not None and self.size_bytes(source, digest) is None:
            return False
        with self._lock:
            content = self._content_path(digest)
            if not content.exists():
                return False
            self._link(content, repository, digest)
            return True

    def delete(self, repository: str, digest: str) -> bool:
        """Take a blob from a repository; its content goes with the last one that had it."""
        with self._lock:
            try:
                self.path(repository, digest).unlink()
            except FileNotFoundError:
                return False
            self._drop_if_unused(self._content_path(digest))
            return True

    def sweep(self, uploads_older_than_s: float) -> None:
        """Remove uploads that nobody has touched since that hour, what crashes left, and blobs of no repository."""
        for left in (*self.uploads(), *sorted(self._repositories.rglob(f"{UNFINISHED}*"))):
            try:
                if left.stat().st_mtime < uploads_older_than_s:
                    left.unlink()
            except FileNotFoundError:
                continue  # finished meanwhile
        for content in sorted(self._content.glob("*/*/*")):
            with self._lock:
                self._drop_if_unused(content)

    def uploads(self) -> Iterator[Path]:
        """All uploads under way."""
        for home in self._homes("_uploads"):
            yield from sorted((home / "_uploads").iterdir())

    def repositories(self) -> list[str]:
        """All repositories that have or had a blob."""
        return [str(home.relative_to(self._repositories)) for home in self._homes("_blobs")]

    def older_than(self, repository: str, hour_s: float) -> list[str]:
        """The digests of a repository's blobs that arrived before that hour."""
        home = self._repositories / repository / "_blobs"
        found = (each for each in sorted(home.glob("*/[0-9a-f]*")) if each.stat().st_mtime < hour_s)
        return [f"{each.parent.name}:{each.name}" for each in found]

    def _homes(self, part: str) -> Iterator[Path]:
        for here, directories, _ in os.walk(self._repositories):
            if part in directories:
                yield Path(here)
            directories[:] = sorted(each for each in directories if not each.startswith("_"))

    def _content_path(self, digest: str) -> Path:
        hexadecimal = encoded(digest)
        return self._content / algorithm(digest) / hexadecimal[:2] / hexadecimal

    def _link(self, content: Path, repository: str, digest: str) -> None:
        target = self.path(repository, digest)
        make_directories(target.parent)
        try:
            os.link(content, target)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            # ext4 stops at 65,000 links of a file: this repository gets a copy of its own.
            _copy(content, target)
        sync_directory(target.parent)

    @staticmethod
    def _drop_if_unused(content: Path) -> None:
        try:
            if content.stat().st_nlink == 1:
                content.unlink()
        except FileNotFoundError:
            return


class Upload:
    """A blob on its way in. Bytes and hash advance together, or not at all."""

    def __init__(self, path: Path, algorithm_name: str = "sha256") -> None:
        self.path = path
        self._algorithm = algorithm_name
        self._lock = threading.Lock()
        self.size_bytes = path.stat().st_size
        # After a restart the hash of what came before is not known; `digest` then reads the file.
        self._hash: Hash | None = hasher(algorithm_name) if self.size_bytes == 0 else None

    def append(self, data: bytes) -> None:
        """Write more; where the disk is full, the upload is as it was before."""
        with self._lock, self.path.open("r+b", buffering=0) as file:
            file.seek(self.size_bytes)
            try:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
            except OSError:
                file.truncate(self.size_bytes)
                raise
            self.size_bytes += len(data)
            if self._hash is not None:
                self._hash.update(data)

    def truncate(self, size_bytes: int) -> None:
        """Take the upload back to an earlier size."""
        with self._lock:
            os.truncate(self.path, size_bytes)
            self.size_bytes = size_bytes
            self._hash = None

    def digest(self, algorithm_name: str) -> str:
        """The digest of all that has arrived."""
        with self._lock:
            if self._hash is not None and algorithm_name == self._algorithm:
                return f"{algorithm_name}:{self._hash.hexdigest()}"
            state = hasher(algorithm_name)
            with self.path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    state.update(piece)
            return f"{algorithm_name}:{state.hexdigest()}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is there completely or, whatever happens, as it was before."""
    make_directories(path.parent)
    temporary = path.parent / f"{UNFINISHED}{threading.get_ident()}-{digest_of(path.name.encode(), 'sha256')[7:23]}"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def make_directories(path: Path) -> None:
    """Make a directory and those above it, durably."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        sync_directory(each.parent)


def sync_directory(path: Path) -> None:
    """The directory's entries are on the disk when this returns."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy(content: Path, target: Path) -> None:
    temporary = target.parent / f"{UNFINISHED}{target.name}"
    try:
        shutil.copyfile(content, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
