"""Unpacked layers by diff id: each is fetched and unpacked once, verified, and then never changed.

layers/<hex of the diff id>/      a lower directory for overlayfs
layers/<hex of the diff id>.size  its unpacked size in bytes
scratch/<one for each process>/   layers in the making; what a dead process left is removed at the next open
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorage.agent.drivers.layers import is_opaque, unpack
from moorage.agent.drivers.once import Once
from moorage.agent.drivers.trees import remove_tree, sync_file_system
from moorage.oci.compression import decompressed
from moorage.oci.digest import Readable, algorithm, encoded, hasher
from moorage.oci.errors import ImageCorrupt, ImageError, RegistryUnavailable
from moorage.oci.manifest import Descriptor
from moorage.oci.streams import HashingReader, drain

FAILURES: Final = (ImageError, RegistryUnavailable, OSError)


class LayerStore:
    """The layers of one image store. Several processes may share its directory."""

    def __init__(self, root: Path) -> None:
        self._layers = root / "layers"
        self._scratches = root / "scratch"
        self._lock_path = root / "lock"
        # Setuid programs of images lie here: nobody but root may come near them.
        for each in (root, self._layers, self._scratches):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        self._once: Once[str] = Once(FAILURES)
        with self.locked():
            self._sweep()
            self._scratch = Path(tempfile.mkdtemp(dir=self._scratches))
            self._scratch_fd: int | None = _flocked(self._scratch, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove what is in the making; closing twice is closing once."""
        if self._scratch_fd is not None:
            remove_tree(self._scratch)
            os.close(self._scratch_fd)
            self._scratch_fd = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes that share the store: for publishing and removing."""
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def path(self, diff_id: str) -> Path:
        """Where a layer lies, once it is here."""
        return self._layers / encoded(diff_id)

    def has(self, diff_id: str) -> bool:
        return self.path(diff_id).is_dir()

    def size_bytes(self, diff_id: str) -> int:
        """Unpacked size."""
        try:
            return int(self._size_path(diff_id).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def all(self) -> list[str]:
        """The names (hexadecimal parts of diff ids) of all layers."""
        return sorted(each.name for each in self._layers.iterdir() if each.is_dir())

    def stack(self, diff_ids: Sequence[str]) -> tuple[str, ...]:
        """The layers to mount, lowest first.

        overlayfs takes no directory twice. Of equal layers the topmost counts alone: all that a lower one
        shows, or a layer between hides, the topmost one shows again. A layer whose top is opaque hides every
        layer below, which overlayfs would not see on the top directory itself.
        """
        found: list[str] = []
        for diff_id in reversed(diff_ids):
            if diff_id not in found:
                found.append(diff_id)
            if is_opaque(self.path(diff_id)):
                break
        return tuple(reversed(found))

    def add(self, blob: Descriptor, diff_id: str, stream: Readable) -> None:
        """Unpack the verified stream of `blob`, unless the layer is here; many may ask, one does it."""
        try:
            self._once.run(diff_id, lambda: self._add(blob, diff_id, stream))
        finally:
            stream.close()

    def remove_all_but(self, kept: Collection[str]) -> int:
        """Remove every layer but those of these diff ids; how many bytes came free. Call it `locked`."""
        names = {encoded(each) for each in kept}
        freed = 0
        for name in self.all():
            if name not in names:
                freed += self.size_bytes(f"sha256:{name}")
                doomed = Path(tempfile.mkdtemp(dir=self._scratch)) / name
                (self._layers / name).rename(doomed)
                self._layers.joinpath(f"{name}.size").unlink(missing_ok=True)
                remove_tree(doomed.parent)
        return freed

    def _add(self, blob: Descriptor, diff_id: str, stream: Readable) -> str:
        if self.has(diff_id):
            return diff_id
        making = Path(tempfile.mkdtemp(dir=self._scratch))
        making.chmod(0o755)  # mkdtemp's 0700 would be the mode of the container's `/`
        try:
            size_bytes = _unpack_verified(blob, diff_id, stream, making)
            # The layer's name is the promise that it is whole, so its content goes to the disk first.
            self._size_path(diff_id).write_text(str(size_bytes))
            sync_file_system(making)
            self._publish(making, diff_id)
        finally:
            remove_tree(making)
        return diff_id

    def _publish(self, making: Path, diff_id: str) -> None:
        try:
            making.rename(self.path(diff_id))
        except OSError:
            # Another process was first; what it has is the same, byte for byte.
            if not self.has(diff_id):
                raise

    def _size_path(self, diff_id: str) -> Path:
        return self._layers / f"{encoded(diff_id)}.size"

    def _sweep(self) -> None:
        """Remove what dead processes left; the living hold a lock on their directory."""
        for left in self._scratches.iterdir():
            try:
                fd = _flocked(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            try:
                remove_tree(left)
            finally:
                os.close(fd)


def _unpack_verified(blob: Descriptor, diff_id: str, stream: Readable, into: Path) -> int:
    plain = decompressed(stream)
    if diff_id == blob.digest:
        # Not compressed, so the blob's own check is the layer's.
        unpacked = unpack(plain, into)
        drain(plain)
        return unpacked.size_bytes
    hashed = HashingReader(plain, hasher(algorithm(diff_id)))
    unpacked = unpack(hashed, into)
    drain(hashed)
    drain(stream)
    found = f"{algorithm(diff_id)}:{hashed.hexdigest()}"
    if found != diff_id:
        raise ImageCorrupt(f"layer {blob.digest}: expected diff id {diff_id}, found {found}")
    return unpacked.size_bytes


def _flocked(directory: Path, how: int) -> int:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd
