"""Archives of every kind give the same image; broken ones a sentence that says why."""

from __future__ import annotations

import bz2
import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard

from moorage.oci import layout
from moorage.oci.archive import opened
from moorage.oci.digest import sha256
from moorage.oci.errors import ImageCorrupt, ImageError, ImageNotFound, ImageUnsupported
from moorage.oci.manifest import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, ContainerConfig, Platform, host_platform
from moorage.oci.source import ImageSource
from moorage.oci.streams import read_all
from tests.unit.oci.images import Member, file, image, symlink, tar

HOST = host_platform()
LAYER = tar([file("hello", b"world")])


def _content(source: ImageSource) -> list[bytes]:
    return [read_all(source.open_blob(each), 1 << 20, "layer") for each in source.manifest.layers]


def _layout(tmp_path: Path) -> Path:
    root = tmp_path / "layout"
    layout.write(image(LAYER, config=ContainerConfig(cmd=("/hello",))), root)
    return root


def _packed(root: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as made:
        for each in sorted(root.rglob("*")):
            made.add(each, str(each.relative_to(root)), recursive=False)
    return path


def _saved(images: list[dict[str, object]], extra: list[Member], path: Path) -> Path:
    path.write_bytes(tar([file("manifest.json", msgspec.json.encode(images)), *extra]))
    return path


def _docker(path: Path, *, layer: bytes = LAYER, name: str = "app:1") -> Path:
    config = image(LAYER).config_bytes
    saved: dict[str, object] = {"Config": "c.json", "RepoTags": [name], "Layers": ["a/layer.tar"]}
    return _saved([saved], [file("c.json", config), file("a/layer.tar", layer)], path)


def test_a_layout_is_read_as_directory_and_as_tar(tmp_path: Path) -> None:
    root = _layout(tmp_path)
    packed = _packed(root, tmp_path / "layout.tar")
    for path in (root, packed):
        with opened(path, HOST) as source:
            assert source.config.config == ContainerConfig(cmd=("/hello",))
            assert _content(source) == [gzip.compress(LAYER, 1, mtime=0)]
            assert source.digest == sha256(source.manifest_bytes)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_a_docker_archive_is_read_compressed_or_not(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = _docker(tmp_path / "saved.tar")
    path.write_bytes(compress(path.read_bytes()))
    with opened(path, HOST) as source:
        assert source.names == ("app:1",)
        assert _content(source) == [LAYER]
        assert source.manifest.layers[0].digest == source.config.rootfs.diff_ids[0]


def test_links_between_a_docker_archives_layers_are_followed(tmp_path: Path) -> None:
    config = image(LAYER, LAYER).config_bytes
    saved: dict[str, object] = {"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"]}
    extra = [file("c.json", config), file("a/layer.tar", LAYER), symlink("b/layer.tar", "../a/layer.tar")]
    with opened(_saved([saved], extra, tmp_path / "saved.tar"), HOST) as source:
        assert _content(source) == [LAYER, LAYER]


@pytest.mark.parametrize(
    ("compress", "kind"),
    [
        (bytes, OCI_LAYER),
        (gzip.compress, OCI_LAYER_GZIP),
        (zstandard.compress, OCI_LAYER_ZSTD),
        (bz2.compress, OCI_LAYER),
    ],
)
def test_a_root_file_system_becomes_one_layer(tmp_path: Path, compress: Callable[[bytes], bytes], kind: str) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(compress(LAYER))
    with opened(path, HOST, config=ContainerConfig(cmd=("/hello",))) as source:
        assert source.config.rootfs.diff_ids == (sha256(LAYER),)
        assert source.manifest.layers[0].media_type == kind
        assert source.config.config == ContainerConfig(cmd=("/hello",))
        expected = LAYER if kind == OCI_LAYER else path.read_bytes()
        assert _content(source) == [expected]


def test_one_of_several_images_must_be_named(tmp_path: Path) -> None:
    config = file("c.json", image(LAYER).config_bytes)
    saved: list[dict[str, object]] = [
        {"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]} for name in ("one:1", "two:2")
    ]
    path = _saved(saved, [config, file("l.tar", LAYER)], tmp_path / "saved.tar")
    with pytest.raises(ImageError, match="several images, name the one you mean: one:1, two:2"), opened(path, HOST):
        pass
    with opened(path, HOST, name="docker.io/library/two:2") as source:
        assert source.names == ("two:2",)
    with pytest.raises(ImageNotFound, match="no image three; it has one:1, two:2"), opened(path, HOST, name="three"):
        pass


def test_a_changed_layer_is_refused_when_it_is_read(tmp_path: Path) -> None:
    root = _layout(tmp_path)
    with opened(root, HOST) as source:
        blob = root / layout.blob_name(source.manifest.layers[0].digest)
        blob.write_bytes(blob.read_bytes()[:-1] + b"!")
        with pytest.raises(ImageCorrupt, match="expected digest"):
            _content(source)
        blob.write_bytes(blob.read_bytes() + b"more")
        with pytest.raises(ImageCorrupt, match="longer than"):
            _content(source)


def test_a_missing_layer_and_a_changed_configuration_are_refused(tmp_path: Path) -> None:
    root = _layout(tmp_path)
    with opened(root, HOST) as source:
        layer, config = source.manifest.layers[0].digest, source.manifest.config.digest
    (root / layout.blob_name(layer)).unlink()
    with pytest.raises(ImageCorrupt, match="is missing"), opened(root, HOST):
        pass
    (root / layout.blob_name(config)).write_bytes(b"{}")
    with pytest.raises(ImageCorrupt, match="expected digest"), opened(root, HOST):
        pass


def test_names_in_an_archive_lead_nowhere_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    saved: dict[str, object] = {"Config": "../secret", "Layers": []}
    with pytest.raises(ImageCorrupt, match="is missing"), opened(_saved([saved], [], tmp_path / "a.tar"), HOST):
        pass
    saved = {"Config": "c.json", "Layers": ["l"]}
    extra = [file("c.json", image(LAYER).config_bytes), symlink("l", "../../../../secret")]
    with pytest.raises(ImageCorrupt, match="is missing"), opened(_saved([saved], extra, tmp_path / "b.tar"), HOST):
        pass


def test_links_that_lead_in_circles_are_given_up(tmp_path: Path) -> None:
    saved: dict[str, object] = {"Config": "a", "Layers": []}
    path = _saved([saved], [symlink("a", "b"), symlink("b", "a")], tmp_path / "a.tar")
    with pytest.raises(ImageCorrupt, match="is missing"), opened(path, HOST):
        pass


@pytest.mark.parametrize("data", [b"no archive at all" * 100, b"", bytes(10240), b"\x1f\x8bbroken" * 200])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ImageCorrupt), opened(path, HOST):
        pass


def test_a_file_or_layout_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match="no such file"), opened(tmp_path / "none", HOST):
        pass
    with pytest.raises(ImageCorrupt, match="neither an OCI layout"), opened(tmp_path, HOST):
        pass


def test_an_image_for_other_machines_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ImageUnsupported, match="this host is linux/riscv64"),
        opened(_layout(tmp_path), Platform(os="linux", architecture="riscv64")),
    ):
        pass
