"""Images in archives: the OCI layout and the older format of `docker save`, read; the OCI layout written.

Sources: https://github.com/opencontainers/image-spec/blob/main/image-layout.md and
https://github.com/moby/docker-image-spec (the `manifest.json` of a saved archive).
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from moorage.oci import compression, manifest
from moorage.oci.digest import Readable, VerifyingReader, algorithm, check, encoded, hasher, sha256
from moorage.oci.errors import ImageCorrupt, ImageError, ImageNotFound, ImageReferenceError
from moorage.oci.manifest import Descriptor, ImageConfig, Index, Manifest, Platform
from moorage.oci.reference import parse
from moorage.oci.source import ImageSource
from moorage.oci.streams import BytesReader, HashingReader, drain, read_all

LAYOUT_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
REF_NAME: Final = "org.opencontainers.image.ref.name"
CONTAINERD_NAME: Final = "io.containerd.image.name"
# An index may list indexes. Nobody nests deeper than two; a bound keeps a hostile one from going on.
_NESTING_MAX: Final = 4


class Files(Protocol):
    """The files of an archive, by name."""

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> Readable: ...


class _Saved(msgspec.Struct, frozen=True, rename="pascal"):
    """One image in `manifest.json`."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] = ()


class DirectoryFiles:
    """The files of a layout that is a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def open(self, name: str) -> Readable:
        try:
            stream = (self._root / name).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise ImageCorrupt(f"archive: {name} is missing") from None
        if not stat.S_ISREG((self._root / name).stat().st_mode):
            stream.close()
            raise ImageCorrupt(f"archive: {name} is no file")
        return stream


def is_layout(files: Files) -> bool:
    """Whether these are an OCI layout."""
    return files.has(LAYOUT_FILE) and files.has(INDEX_FILE)


def blob_name(digest: str) -> str:
    """Where a layout keeps a blob."""
    return f"blobs/{algorithm(digest)}/{encoded(digest)}"


def read(files: Files, wanted: Platform, name: str | None) -> ImageSource:
    """The image `name` of an OCI layout, or its only one."""
    if not is_layout(files):
        raise ImageCorrupt("archive: neither an OCI layout nor a tar of one (no oci-layout and index.json)")
    raw = read_all(files.open(INDEX_FILE), manifest.MANIFEST_MAX_BYTES, INDEX_FILE)
    top = manifest.parse(raw, manifest.OCI_INDEX)
    assert isinstance(top, Index)  # `parse` refuses any other content under this type
    chosen = [top.manifests[at] for at in _chosen([_names(each) for each in top.manifests], name)]
    entry = _descend(files, chosen, wanted)
    manifest_bytes = _document(files, entry)
    found = manifest.parse(manifest_bytes, entry.media_type)
    if isinstance(found, Index):
        raise ImageCorrupt(f"archive: {entry.digest} is an index, not the manifest that its entry claims")
    return _source(files, entry.digest, found, manifest_bytes, wanted, _names(chosen[0]))


def read_docker(files: Files, wanted: Platform, name: str | None) -> ImageSource:
    """The image `name` of an archive made by `docker save`, or its only one."""
    raw = read_all(files.open("manifest.json"), manifest.MANIFEST_MAX_BYTES, "manifest.json")
    saved = manifest.decode(raw, list[_Saved], "manifest.json")
    at = _chosen([each.repo_tags or () for each in saved], name)
    if len(at) > 1:
        raise ImageError(f"the archive has {len(at)} images; name the one you mean")
    image = saved[at[0]]
    config_bytes = read_all(files.open(image.config), manifest.CONFIG_MAX_BYTES, image.config)
    blobs = {}
    layers = []
    for path in image.layers:
        layer = _layer(files, path)
        blobs[layer.digest] = path
        layers.append(layer)
    config = Descriptor(media_type=manifest.OCI_CONFIG, digest=sha256(config_bytes), size=len(config_bytes))
    made = Manifest(schema_version=2, media_type=manifest.OCI_MANIFEST, config=config, layers=tuple(layers))
    parsed = manifest.parse_config(config_bytes, made)
    manifest.check_platform(parsed, wanted)
    manifest_bytes = msgspec.json.encode(made)

    def open_blob(blob: Descriptor) -> Readable:
        if blob.digest == config.digest:
            return BytesReader(config_bytes)
        return VerifyingReader(files.open(blobs[blob.digest]), blob.digest, blob.size, f"layer {blob.digest}")

    return ImageSource(
        digest=sha256(manifest_bytes),
        manifest=made,
        manifest_bytes=manifest_bytes,
        config=parsed,
        config_bytes=config_bytes,
        open_blob=open_blob,
        names=image.repo_tags or (),
    )


def write(source: ImageSource, root: Path) -> None:
    """Write an image as OCI layout into the directory `root`, which is made where it is missing."""
    for blob in (source.manifest.config, *source.manifest.layers):
        _write_blob(root, blob.digest, source.open_blob(blob))
    _write_blob(root, source.digest, BytesReader(source.manifest_bytes))
    (root / LAYOUT_FILE).write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    entry = Descriptor(
        media_type=source.media_type,
        digest=source.digest,
        size=len(source.manifest_bytes),
        annotations={REF_NAME: source.names[0]} if source.names else None,
        platform=Platform(os=source.config.os, architecture=source.config.architecture),
    )
    (root / INDEX_FILE).write_bytes(
        msgspec.json.encode(Index(schema_version=2, media_type=manifest.OCI_INDEX, manifests=(entry,)))
    )


def _write_blob(root: Path, digest: str, stream: Readable) -> None:
    path = root / blob_name(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("wb") as out:
            while piece := stream.read(1 << 20):
                out.write(piece)
    finally:
        stream.close()


def _layer(files: Files, path: str) -> Descriptor:
    """A saved layer is named by its place, so its digest must be computed; as a rule it is not compressed."""
    stream = HashingReader(files.open(path), hasher("sha256"))
    start = compression.Pushback(stream).start
    kind = compression.detect(start)
    types = {"gzip": manifest.OCI_LAYER_GZIP, "zstd": manifest.OCI_LAYER_ZSTD, "plain": manifest.OCI_LAYER}
    if kind not in types:
        raise ImageCorrupt(f"archive: the layer {path} is compressed with {kind}, which no layer may be")
    drain(stream)
    return Descriptor(media_type=types[kind], digest="sha256:" + stream.hexdigest(), size=stream.count)


def _source(
    files: Files, digest: str, found: Manifest, raw: bytes, wanted: Platform, names: tuple[str, ...]
) -> ImageSource:
    config_bytes = _document(files, found.config)
    config: ImageConfig = manifest.parse_config(config_bytes, found)
    manifest.check_platform(config, wanted)
    for layer in found.layers:
        if not files.has(blob_name(layer.digest)):
            raise ImageCorrupt(f"archive: the layer {layer.digest} is missing")

    def open_blob(blob: Descriptor) -> Readable:
        return VerifyingReader(files.open(blob_name(blob.digest)), blob.digest, blob.size, f"blob {blob.digest}")

    return ImageSource(
        digest=digest,
        manifest=found,
        manifest_bytes=raw,
        config=config,
        config_bytes=config_bytes,
        open_blob=open_blob,
        names=names,
    )


def _document(files: Files, entry: Descriptor) -> bytes:
    raw = read_all(files.open(blob_name(entry.digest)), manifest.CONFIG_MAX_BYTES, f"blob {entry.digest}")
    return check(raw, entry.digest, "archive")


def _descend(files: Files, entries: Sequence[Descriptor], wanted: Platform) -> Descriptor:
    """From the entries of the chosen name to the manifest for `wanted`."""
    for _ in range(_NESTING_MAX):
        entry = entries[0]
        if len(entries) > 1:
            entry = manifest.choose(Index(schema_version=2, manifests=tuple(entries)), wanted)
        if entry.media_type not in manifest.INDEX_TYPES:
            return entry
        inner = manifest.parse(_document(files, entry), entry.media_type)
        assert isinstance(inner, Index)
        entries = (manifest.choose(inner, wanted),)
    raise ImageCorrupt(f"archive: indexes nested deeper than {_NESTING_MAX}")


def _names(entry: Descriptor) -> tuple[str, ...]:
    notes = entry.annotations or {}
    return tuple(notes[key] for key in (CONTAINERD_NAME, REF_NAME) if key in notes)


def _chosen(images: Sequence[tuple[str, ...]], name: str | None) -> list[int]:
    """Which of an archive's images are meant; several where one name has an entry for each platform."""
    if not images:
        raise ImageCorrupt("archive: it has no image")
    if name is not None:
        wanted = _canonical(name)
        found = [at for at, names in enumerate(images) if wanted in map(_canonical, names)]
        if not found:
            there = ", ".join(sorted({each for names in images for each in names})) or "none with a name"
            raise ImageNotFound(f"the archive has no image {name}; it has {there}")
        return found
    distinct = sorted({names[0] for names in images if names})
    if len(distinct) > 1:
        raise ImageError(f"the archive has several images, name the one you mean: {', '.join(distinct)}")
    return list(range(len(images)))


def _canonical(name: str) -> str:
    try:
        return str(parse(name))
    except ImageReferenceError:
        return name
