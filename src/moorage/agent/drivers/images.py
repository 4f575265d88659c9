"""The node's images: pulled when a task needs them, unpacked once, shared by all containers.

Blocking, and called by many threads at once. One pull of an image goes on at a time; whoever asks meanwhile
waits for it. Where the digest is already known no registry is asked; a tag costs one HEAD.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import msgspec

from moorage.agent.drivers.image_records import ImageRecord, Records
from moorage.agent.drivers.image_sources import ImageSources, Origin, Registries
from moorage.agent.drivers.layer_store import FAILURES, LayerStore
from moorage.agent.drivers.once import Once
from moorage.agent.spec import DriverError, RootImage
from moorage.oci.errors import ImageError, ImageReferenceError, RegistryUnavailable
from moorage.oci.manifest import ContainerConfig, Descriptor, host_platform
from moorage.oci.reference import Reference, parse
from moorage.oci.source import ImageSource
from moorage.oci.transfer import OnProgress, Progress, Watched

__all__ = ["DiskUsage", "ImageSources", "ImageStore", "PullBehavior", "StoredImage"]

PullBehavior = Literal["default", "always", "once", "prefer-cached"]
"""ECS_IMAGE_PULL_BEHAVIOR: default asks the registry and falls back on what is here; always never falls back;
once asks only for a reference that was never pulled here; prefer-cached asks for nothing that is here."""

_KIND: Final = "CannotPullContainerError"
# Layers at once, over all images: Docker's number. More would only make each of them later.
_LAYERS_AT_ONCE: Final = 3
# A layer may be removed between its arrival and the image's record; then the image is pulled again.
_PUBLISH_TRIES: Final = 3


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the store."""

    digest: str
    references: tuple[str, ...]  # canonical; empty for one whose names all mean something else by now
    size_bytes: int  # as pulled
    unpacked_bytes: int  # with layers that other images share
    pulled_at_s: float  # epoch seconds


class DiskUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the store takes of its disk."""

    layers: int
    used_bytes: int  # file contents; directories and inodes come on top
    free_bytes: int  # what the file system would still give us


class ImageStore:
    """The images of one host, under `root`."""

    def __init__(self, root: Path, sources: ImageSources) -> None:
        self._layers = LayerStore(root)
        self._records = Records(root)
        self._registries = Registries(sources)
        self._platform = host_platform()
        self._once: Once[RootImage] = Once((DriverError,))
        self._pool = ThreadPoolExecutor(max_workers=_LAYERS_AT_ONCE, thread_name_prefix="layer")
        self._root = root

    def close(self) -> None:
        """Wait for layers in the making, and let go of connections."""
        self._pool.shutdown(cancel_futures=True)
        self._registries.close()
        self._layers.close()

    def ensure(
        self, reference: str, *, pull: PullBehavior = "default", on_progress: OnProgress | None = None
    ) -> RootImage:
        """The image, pulled where it must be. Raises `DriverError` with the sentence for `stoppedReason`."""
        try:
            wanted = parse(reference)
        except ImageReferenceError as error:
            raise DriverError(_KIND, str(error)) from error
        known = self._without_asking(wanted, pull)
        if known is not None:
            return known
        return self._once.run((str(wanted), pull), lambda: self._pull(wanted, pull, on_progress))

    def list(self) -> list[StoredImage]:
        """All images, by digest."""
        names: dict[str, list[str]] = {}
        for name in self._records.names():
            names.setdefault(name.digest, []).append(name.reference)
        found = []
        for image in self._records.images():
            references = tuple(sorted(names.get(image.digest, ())))
            found.append(
                StoredImage(
                    digest=image.digest,
                    references=references,
                    size_bytes=image.size_bytes,
                    unpacked_bytes=sum(map(self._layers.size_bytes, image.diff_ids)),
                    pulled_at_s=max(map(self._records.pulled_at_s, references), default=0.0),
                )
            )
        return found

    def remove(self, reference: str, *, in_use: Collection[str]) -> int:
        """Forget a name, and its image and layers where nothing else needs them; the bytes that came free.

        `in_use` are the digests of images that containers of this host stand on: such an image is refused.
        """
        wanted = parse(reference)
        with self._layers.locked():
            image = self._records.image(wanted.digest) if wanted.digest else self._records.named(str(wanted))
            if image is None:
                raise ImageError(f"no such image: {reference}")
            if image.digest in in_use:
                raise ImageError(f"{reference} is in use by a container; stop it first")
            self._forget(wanted, image)
            kept = {diff_id for each in self._records.images() for diff_id in each.diff_ids}
            return self._layers.remove_all_but(kept)

    def usage(self) -> DiskUsage:
        """How much of the disk the layers take."""
        names = self._layers.all()
        disk = os.statvfs(self._root)
        return DiskUsage(
            layers=len(names),
            used_bytes=sum(self._layers.size_bytes(f"sha256:{name}") for name in names),
            free_bytes=disk.f_bavail * disk.f_frsize,
        )

    def _without_asking(self, wanted: Reference, pull: PullBehavior) -> RootImage | None:
        """What can be had without any registry. `always` asks even for a digest: it may have been withdrawn."""
        if pull == "always":
            return None
        if wanted.digest is not None:
            return self._here(self._records.image(wanted.digest))
        if pull in ("once", "prefer-cached"):
            return self._here(self._records.named(str(wanted)))
        return None

    def _pull(self, wanted: Reference, pull: PullBehavior, on_progress: OnProgress | None) -> RootImage:
        try:
            digest, origin = self._registries.resolve(wanted)
        except (ImageError, RegistryUnavailable) as error:
            cached = self._here(self._records.named(str(wanted))) if pull == "default" else None
            if cached is not None:
                return cached
            raise DriverError(_KIND, f"pull image manifest has been retried 1 time(s): {error}") from error
        try:
            image = self._here(self._records.image(digest)) or self._fetch(origin, digest, on_progress)
            self._records.put_name(str(wanted), digest)
        except FAILURES as error:
            raise DriverError(_KIND, _sentence(error)) from error
        return image

    def _fetch(self, origin: Origin, digest: str, on_progress: OnProgress | None) -> RootImage:
        source = origin.client.image(origin.repository, digest, self._platform)
        diff_ids = source.config.rootfs.diff_ids
        for _ in range(_PUBLISH_TRIES):
            self._fetch_layers(source, on_progress)
            with self._layers.locked():
                if all(map(self._layers.has, diff_ids)):
                    record = ImageRecord(
                        digest=digest,
                        manifest_digest=source.digest,
                        diff_ids=diff_ids,
                        stack=self._layers.stack(diff_ids),
                        size_bytes=sum(layer.size for layer in source.manifest.layers),
                        config=source.config.config or ContainerConfig(),
                    )
                    self._records.put_image(record)
                    return self._root_image(record)
        raise ImageError(f"{digest}: its layers are removed as fast as they come")

    def _fetch_layers(self, source: ImageSource, on_progress: OnProgress | None) -> None:
        pairs = zip(source.manifest.layers, source.config.rootfs.diff_ids, strict=True)
        running = [
            self._pool.submit(self._fetch_layer, source, blob, diff_id, on_progress)
            for blob, diff_id in dict.fromkeys(pairs)
        ]
        # All are awaited before the first failure is told, so that none is still writing after it.
        failures = [failure for each in running if (failure := each.exception()) is not None]
        if failures:
            raise failures[0]

    def _fetch_layer(
        self, source: ImageSource, blob: Descriptor, diff_id: str, on_progress: OnProgress | None
    ) -> None:
        if not self._layers.has(diff_id):
            stream = source.open_blob(blob)
            self._layers.add(blob, diff_id, Watched(stream, blob.digest, blob.size, on_progress))
        elif on_progress is not None:
            on_progress(Progress(digest=blob.digest, done_bytes=blob.size, total_bytes=blob.size))

    def _here(self, record: ImageRecord | None) -> RootImage | None:
        """The image of a record, unless a layer has been taken away."""
        if record is None or not all(map(self._layers.has, record.diff_ids)):
            return None
        return self._root_image(record)

    def _root_image(self, record: ImageRecord) -> RootImage:
        config = record.config
        return RootImage(
            digest=record.digest,
            layers=tuple(str(self._layers.path(each)) for each in record.stack),
            entry_point=config.entrypoint or (),
            command=config.cmd or (),
            environment=config.env or (),
            user=config.user or "",
            working_directory=config.working_dir or "",
            stop_signal=config.stop_signal or "",
            volumes=tuple(config.volumes or ()),
        )

    def _forget(self, wanted: Reference, image: ImageRecord) -> None:
        names = [each.reference for each in self._records.names() if each.digest == image.digest]
        doomed = names if wanted.digest else [str(wanted)]
        for name in doomed:
            self._records.drop_name(name)
        if set(names) <= set(doomed):
            self._records.drop_image(image.digest)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"failed to register layer: write {error.filename or ''}: no space left on device"
    if isinstance(error, OSError):
        return f"failed to register layer: {error}"
    return str(error)
