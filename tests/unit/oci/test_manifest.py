"""Manifests and indexes: what is understood, what is refused."""

from __future__ import annotations

import msgspec
import pytest

from moorage.oci import manifest
from moorage.oci.errors import ImageCorrupt, ImageUnsupported
from moorage.oci.manifest import Descriptor, Index, Manifest, Platform

DIGEST = "sha256:" + "ab" * 32
AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")
BLOB = {"mediaType": "x", "digest": DIGEST, "size": 3}


def _index(*platforms: Platform | None) -> Index:
    entries = tuple(
        Descriptor(media_type=manifest.OCI_MANIFEST, digest=f"sha256:{at:064x}", size=1, platform=each)
        for at, each in enumerate(platforms)
    )
    return Index(schema_version=2, manifests=entries)


def test_docker_and_oci_manifests_read_the_same() -> None:
    for media_type in manifest.MANIFEST_TYPES:
        raw = msgspec.json.encode({"schemaVersion": 2, "mediaType": media_type, "config": BLOB, "layers": [BLOB]})
        parsed = manifest.parse(raw, media_type)
        assert isinstance(parsed, Manifest)
        assert parsed.layers[0].digest == DIGEST


def test_the_platforms_entry_is_chosen() -> None:
    assert manifest.choose(_index(ARM64, AMD64, AMD64), AMD64).digest.endswith("1")


def test_an_index_of_one_entry_need_not_name_its_platform() -> None:
    assert manifest.choose(_index(None), AMD64).digest.endswith("0")


def test_a_missing_platform_is_told_with_those_that_are_there() -> None:
    with pytest.raises(ImageUnsupported, match=r"no matching manifest for linux/amd64.*linux/arm64"):
        manifest.choose(_index(ARM64, Platform(os="unknown", architecture="unknown")), AMD64)


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, ImageUnsupported),
        ({"schemaVersion": 2}, ImageCorrupt),
        ({"schemaVersion": 2, "config": BLOB, "layers": [BLOB], "manifests": [BLOB]}, ImageCorrupt),
        ({"schemaVersion": 2, "config": BLOB, "layers": [{**BLOB, "digest": "sha256:../../etc"}]}, ImageCorrupt),
        ({"schemaVersion": 2, "config": BLOB, "layers": [{**BLOB, "size": -1}]}, ImageCorrupt),
        ({"schemaVersion": 2, "config": BLOB, "layers": "none"}, ImageCorrupt),
        ({"schemaVersion": 2, "config": BLOB, "layers": [BLOB] * 300}, ImageUnsupported),
        ({"schemaVersion": 2, "mediaType": manifest.OCI_INDEX, "config": BLOB, "layers": []}, ImageCorrupt),
        ([], ImageCorrupt),
    ],
)
def test_documents_that_are_no_manifest_are_refused(document: object, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        manifest.parse(msgspec.json.encode(document))


def test_a_document_is_not_what_its_content_type_denies() -> None:
    raw = msgspec.json.encode({"schemaVersion": 2, "manifests": []})
    with pytest.raises(ImageCorrupt):
        manifest.parse(raw, manifest.OCI_MANIFEST)


def test_diff_ids_must_match_the_layers() -> None:
    raw = msgspec.json.encode({"schemaVersion": 2, "config": BLOB, "layers": [BLOB]})
    parsed = manifest.parse(raw)
    assert isinstance(parsed, Manifest)
    with pytest.raises(ImageCorrupt, match="0 diff ids for 1 layers"):
        manifest.parse_config(b'{"rootfs":{"type":"layers","diff_ids":[]}}', parsed)
    with pytest.raises(ImageCorrupt, match="is not a digest"):
        manifest.parse_config(b'{"rootfs":{"type":"layers","diff_ids":["../x"]}}', parsed)
