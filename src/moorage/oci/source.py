"""An image wherever it lies — an archive, a registry, a fresh build — seen in one way."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from moorage.oci.digest import Readable
from moorage.oci.manifest import OCI_MANIFEST, Descriptor, ImageConfig, Manifest

OpenBlob = Callable[[Descriptor], Readable]


class ImageSource(msgspec.Struct, frozen=True, kw_only=True):
    """One image for one platform: its documents read and verified, its blobs to be opened one by one.

    `open_blob` gives a verified stream: its end raises `ImageCorrupt` where the digest does not match. It may
    be called from several threads at once. The config is served by it as well.
    """

    digest: str  # of `manifest_bytes`
    manifest: Manifest
    manifest_bytes: bytes
    config: ImageConfig
    config_bytes: bytes
    open_blob: OpenBlob
    names: tuple[str, ...] = ()  # references that the archive gives it

    @property
    def media_type(self) -> str:
        """The manifest's own, for the Content-Type under which it is pushed."""
        return self.manifest.media_type or OCI_MANIFEST
