"""A root file system, as a tar or a directory, made into an image of one layer."""

from __future__ import annotations

from typing import BinaryIO, Final

import msgspec

from moorage.oci import compression, manifest
from moorage.oci.digest import Readable, VerifyingReader, hasher, sha256
from moorage.oci.errors import ImageCorrupt
from moorage.oci.manifest import ContainerConfig, Descriptor, ImageConfig, Manifest, Platform, RootFs
from moorage.oci.source import ImageSource
from moorage.oci.streams import BytesReader, FileSlice, HashingReader, drain
from moorage.oci.tar import TarReader

_LAYER_TYPES: Final[dict[compression.Compression, str]] = {
    "plain": manifest.OCI_LAYER,
    "gzip": manifest.OCI_LAYER_GZIP,
    "zstd": manifest.OCI_LAYER_ZSTD,
}


def source(raw: BinaryIO, tar: BinaryIO, wanted: Platform, config: ContainerConfig) -> ImageSource:
    """The image whose only layer is `tar`; `raw` is the same before decompression.

    A gzip or zstd file becomes the layer's blob as it stands; bzip2 and xz, which no layer may have, are left
    behind and the plain tar is taken.
    """
    kind = compression.detect(raw.read(compression.MAGIC_BYTES))
    raw.seek(0)
    blob = raw if kind in _LAYER_TYPES else tar
    diff_id, plain_size = _checked(tar)
    digest, size = (diff_id, plain_size) if blob is tar else _digest(blob)
    layer = Descriptor(media_type=_LAYER_TYPES.get(kind, manifest.OCI_LAYER), digest=digest, size=size)
    return one_layer(blob, layer, diff_id, wanted, config)


def one_layer(
    blob: BinaryIO, layer: Descriptor, diff_id: str, built_for: Platform, config: ContainerConfig
) -> ImageSource:
    """The image of a single layer, whose bytes are the file `blob`."""
    image = ImageConfig(
        architecture=built_for.architecture,
        os=built_for.os,
        variant=built_for.variant,
        config=config,
        rootfs=RootFs(diff_ids=(diff_id,)),
    )
    config_bytes = msgspec.json.encode(image)
    described = Descriptor(media_type=manifest.OCI_CONFIG, digest=sha256(config_bytes), size=len(config_bytes))
    made = Manifest(schema_version=2, media_type=manifest.OCI_MANIFEST, config=described, layers=(layer,))
    manifest_bytes = msgspec.json.encode(made)

    def open_blob(wanted: Descriptor) -> Readable:
        if wanted.digest == described.digest:
            return BytesReader(config_bytes)
        return VerifyingReader(FileSlice(blob.fileno(), 0, layer.size), layer.digest, layer.size, "root file system")

    return ImageSource(
        digest=sha256(manifest_bytes),
        manifest=made,
        manifest_bytes=manifest_bytes,
        config=image,
        config_bytes=config_bytes,
        open_blob=open_blob,
    )


def _checked(tar: BinaryIO) -> tuple[str, int]:
    """Digest and size of a tar that is known to be one, with something in it."""
    stream = HashingReader(tar, hasher("sha256"))
    if not any(True for _ in TarReader(stream)):
        raise ImageCorrupt("not an image archive and not a tar of a root file system: it is empty")
    drain(stream)
    tar.seek(0)
    return "sha256:" + stream.hexdigest(), stream.count


def _digest(blob: BinaryIO) -> tuple[str, int]:
    stream = HashingReader(blob, hasher("sha256"))
    drain(stream)
    blob.seek(0)
    return "sha256:" + stream.hexdigest(), stream.count
