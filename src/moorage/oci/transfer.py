"""Push an image from wherever it lies into a registry."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from moorage.oci.client import RegistryClient
from moorage.oci.digest import Readable
from moorage.oci.source import ImageSource


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one blob is. `done_bytes` equals `total_bytes` when it is there, whether moved or found there."""

    digest: str
    done_bytes: int
    total_bytes: int


OnProgress = Callable[[Progress], None]


def push(
    source: ImageSource,
    client: RegistryClient,
    repository: str,
    tag: str,
    on_progress: OnProgress | None = None,
) -> str:
    """Push what the registry does not have yet, the manifest last; the image's digest."""
    for blob in dict.fromkeys((*source.manifest.layers, source.manifest.config)):
        if not client.has_blob(repository, blob.digest):
            stream = source.open_blob(blob)
            client.push_blob(repository, blob, Watched(stream, blob.digest, blob.size, on_progress))
        if on_progress is not None:
            on_progress(Progress(digest=blob.digest, done_bytes=blob.size, total_bytes=blob.size))
    return client.push_manifest(repository, tag, source.manifest_bytes, source.media_type)


class Watched:
    """A stream that tells how far it has been read."""

    def __init__(self, stream: Readable, digest: str, size: int, on_progress: OnProgress | None) -> None:
        self._stream = stream
        self._digest = digest
        self._size = size
        self._on_progress = on_progress
        self._done = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._done += len(data)
        if self._on_progress is not None and data:
            told = Progress(digest=self._digest, done_bytes=self._done, total_bytes=self._size)
            self._on_progress(told)
        return data

    def close(self) -> None:
        self._stream.close()
