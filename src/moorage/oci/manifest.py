"""Manifests, indexes and image configurations, as OCI and as Docker (schema 2) write them.

Sources: https://github.com/opencontainers/image-spec (manifest, image-index, config, descriptor) and
https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from __future__ import annotations

import platform as host
from typing import Final, TypeVar

import msgspec

from moorage.oci.digest import is_digest
from moorage.oci.errors import ImageCorrupt, ImageUnsupported

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

MANIFEST_TYPES: Final = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES: Final = (OCI_INDEX, DOCKER_LIST)

# The distribution specification has registries accept manifests of at least this size; larger ones are refused.
MANIFEST_MAX_BYTES: Final = 4 * 1024 * 1024
# Configurations carry the build history; the largest seen in the wild are below 1 MiB.
CONFIG_MAX_BYTES: Final = 8 * 1024 * 1024
# overlayfs takes up to 500 lower directories; Docker itself stops at 127 layers.
LAYERS_MAX: Final = 256


_ABSENT: Final = (b"", b"null")

_T = TypeVar("_T")


class Platform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """For which machines an image was built."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}" + (f"/{self.variant}" if self.variant else "")


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a piece of content is, how long, and its digest."""

    media_type: str = ""
    digest: str
    size: int
    urls: tuple[str, ...] | None = None
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One image for one platform: its configuration and its layers, lowest first."""

    schema_version: int
    media_type: str = ""  # may be absent; what the transport calls it counts then
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A list of manifests, as a rule one for each platform."""

    schema_version: int
    media_type: str = ""
    artifact_type: str | None = None
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How a container of the image starts where nothing else is said. Docker writes null for empty."""

    user: str | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str | None = None
    stop_signal: str | None = None
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, dict[str, str]] | None = None
    volumes: dict[str, dict[str, str]] | None = None


class RootFs(msgspec.Struct, frozen=True, kw_only=True):
    """The layers' digests before compression, lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...]


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the build."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The image's configuration blob."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None
    created: str | None = None
    config: ContainerConfig | None = None
    rootfs: RootFs
    history: tuple[History, ...] | None = None


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """Enough of a document to tell what it is."""

    schema_version: int = 0
    media_type: str = ""
    manifests: msgspec.Raw = msgspec.Raw()
    layers: msgspec.Raw = msgspec.Raw()
    config: msgspec.Raw = msgspec.Raw()

    @property
    def is_index(self) -> bool:
        return bytes(self.manifests) not in _ABSENT

    @property
    def is_manifest(self) -> bool:
        return bytes(self.layers) not in _ABSENT and bytes(self.config) not in _ABSENT

    @property
    def has_image_parts(self) -> bool:
        return bytes(self.layers) not in _ABSENT or bytes(self.config) not in _ABSENT


def parse(raw: bytes, media_type: str = "") -> Manifest | Index:
    """The manifest or index in `raw`; `media_type` is what the transport called it, "" where it said nothing."""
    shape = decode(raw, _Shape, "manifest")
    _refuse_confusion(shape, media_type)
    if shape.is_index:
        index = decode(raw, Index, "image index")
        _check_descriptors(index.manifests, "image index")
        return index
    manifest = decode(raw, Manifest, "manifest")
    _check_descriptors((manifest.config, *manifest.layers), "manifest")
    if len(manifest.layers) > LAYERS_MAX:
        raise ImageUnsupported(f"manifest: {len(manifest.layers)} layers, at most {LAYERS_MAX} are supported")
    return manifest


def parse_config(raw: bytes, manifest: Manifest) -> ImageConfig:
    """The configuration of `manifest`, which must speak of the same number of layers."""
    config = decode(raw, ImageConfig, "image configuration")
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise ImageCorrupt(
            f"image configuration: {len(config.rootfs.diff_ids)} diff ids for {len(manifest.layers)} layers"
        )
    for diff_id in config.rootfs.diff_ids:
        if not is_digest(diff_id):
            raise ImageCorrupt(f"image configuration: diff id {diff_id[:200]!r} is not a digest")
    return config


def choose(index: Index, wanted: Platform) -> Descriptor:
    """The entry for `wanted`; where several fit, the first, as the specification says."""
    fitting = [each for each in index.manifests if _fits(each, wanted)]
    if fitting:
        return fitting[0]
    # An index of one image that does not say for what it was built; its configuration will tell.
    unsaid = [each for each in index.manifests if each.platform is None and _is_image(each)]
    if len(unsaid) == 1 and len(index.manifests) == 1:
        return unsaid[0]
    there = sorted({str(each.platform) for each in index.manifests if each.platform and _is_known(each.platform)})
    raise ImageUnsupported(
        f"no matching manifest for {wanted} in the manifest list entries: it has {', '.join(there) or 'none'}"
    )


def check_platform(config: ImageConfig, wanted: Platform) -> None:
    """Refuses an image that was built for other machines; one that does not say is given a chance."""
    if (config.os or wanted.os) != wanted.os or (config.architecture or wanted.architecture) != wanted.architecture:
        raise ImageUnsupported(f"the image is for {config.os}/{config.architecture}, this host is {wanted}")


def host_platform() -> Platform:
    """What this machine runs, in OCI's (that is, Go's) words."""
    machine = host.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
    return Platform(os="linux", architecture=names.get(machine, machine))


def decode(raw: bytes, shape: type[_T], what: str) -> _T:
    """The JSON in `raw` as a `shape`; anything else is corrupt."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageCorrupt(f"{what}: {error}") from error


def _refuse_confusion(shape: _Shape, media_type: str) -> None:
    """A document that is index and manifest at once means one thing to one reader and another to the next."""
    if shape.schema_version != 2:
        raise ImageUnsupported(
            f"manifest: schema version {shape.schema_version} is not supported; push the image again with a "
            "current tool"
        )
    if shape.is_index and shape.has_image_parts:
        raise ImageCorrupt("manifest: both an index and a manifest")
    if not shape.is_index and not shape.is_manifest:
        raise ImageCorrupt("manifest: neither an index nor a manifest")
    kinds = {_kind(each) for each in (shape.media_type, media_type)} - {""}
    if kinds - {"index" if shape.is_index else "manifest"}:
        raise ImageCorrupt(f"manifest: its content is not the {shape.media_type or media_type} that it claims to be")


def _kind(media_type: str) -> str:
    bare = media_type.partition(";")[0].strip()
    return "index" if bare in INDEX_TYPES else "manifest" if bare in MANIFEST_TYPES else ""


def _check_descriptors(descriptors: tuple[Descriptor, ...], what: str) -> None:
    for each in descriptors:
        if not is_digest(each.digest):
            raise ImageCorrupt(f"{what}: {each.digest[:200]!r} is not a sha256 or sha512 digest")
        if each.size < 0:
            raise ImageCorrupt(f"{what}: {each.digest} has the size {each.size}")


def _fits(entry: Descriptor, wanted: Platform) -> bool:
    there = entry.platform
    return (
        there is not None
        and _is_image(entry)
        and (there.os, there.architecture) == (wanted.os, wanted.architecture)
        and (wanted.variant is None or there.variant in (None, wanted.variant))
    )


def _is_image(entry: Descriptor) -> bool:
    return entry.media_type in ("", *MANIFEST_TYPES)


def _is_known(there: Platform) -> bool:
    """BuildKit files its attestations as manifests of the platform unknown/unknown."""
    return there.os != "unknown"
