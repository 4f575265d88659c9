"""Small images for tests: tars made entry by entry, and sources around them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable

import msgspec

from moorage.oci import manifest
from moorage.oci.digest import Readable, VerifyingReader, sha256
from moorage.oci.manifest import ContainerConfig, Descriptor, ImageConfig, Manifest, RootFs, host_platform
from moorage.oci.source import ImageSource
from moorage.oci.streams import BytesReader

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"", *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.uid, info.gid, info.mtime = len(content), mode, uid, gid, 1_000_000_000
    return info, content


def entry(name: str, kind: bytes, *, link: str = "", mode: int = 0o755, device: tuple[int, int] = (0, 0)) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_000_000_000
    info.devmajor, info.devminor = device
    return info, b""


def directory(name: str, mode: int = 0o755) -> Member:
    return entry(name, tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Member:
    return entry(name, tarfile.SYMTYPE, link=target)


def hardlink(name: str, target: str) -> Member:
    return entry(name, tarfile.LNKTYPE, link=target)


def tar(members: Iterable[Member], format: int = tarfile.PAX_FORMAT) -> bytes:
    """An uncompressed tar of these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def image(*layers: bytes, config: ContainerConfig | None = None, compress: bool = True) -> ImageSource:
    """The image of these layers, each a tar."""
    blobs: dict[str, bytes] = {}
    described = []
    for layer in layers:
        blob = gzip.compress(layer, 1, mtime=0) if compress else layer
        blobs[sha256(blob)] = blob
        kind = manifest.OCI_LAYER_GZIP if compress else manifest.OCI_LAYER
        described.append(Descriptor(media_type=kind, digest=sha256(blob), size=len(blob)))
    return assemble(blobs, described, [sha256(layer) for layer in layers], config)


def assemble(
    blobs: dict[str, bytes],
    layers: list[Descriptor],
    diff_ids: list[str],
    config: ContainerConfig | None = None,
) -> ImageSource:
    """An image of these parts, whether they fit together or not."""
    platform = host_platform()
    about = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        config=config or ContainerConfig(),
        rootfs=RootFs(diff_ids=tuple(diff_ids)),
    )
    config_bytes = msgspec.json.encode(about)
    config_blob = Descriptor(media_type=manifest.OCI_CONFIG, digest=sha256(config_bytes), size=len(config_bytes))
    blobs[config_blob.digest] = config_bytes
    made = Manifest(schema_version=2, media_type=manifest.OCI_MANIFEST, config=config_blob, layers=tuple(layers))
    raw = msgspec.json.encode(made)

    def open_blob(blob: Descriptor) -> Readable:
        return VerifyingReader(BytesReader(blobs[blob.digest]), blob.digest, blob.size, blob.digest)

    return ImageSource(
        digest=sha256(raw),
        manifest=made,
        manifest_bytes=raw,
        config=about,
        config_bytes=config_bytes,
        open_blob=open_blob,
    )
