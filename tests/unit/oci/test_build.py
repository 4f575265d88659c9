"""A directory becomes an image, the same one every time."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from moorage.oci.archive import opened
from moorage.oci.build import built, busybox_root
from moorage.oci.errors import ImageError
from moorage.oci.layout import write
from moorage.oci.manifest import ContainerConfig, host_platform

HOST = host_platform()


def _tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o4755)
    (root / "bin/also").symlink_to("tool")
    return root


def test_the_same_directory_gives_the_same_digest(tmp_path: Path) -> None:
    config = ContainerConfig(cmd=("/bin/tool",))
    digests = []
    for name in ("one", "two"):
        with built(_tree(tmp_path / name), config, HOST) as source:
            digests.append(source.digest)
    assert digests[0] == digests[1]


def test_everything_belongs_to_root_and_keeps_its_mode(tmp_path: Path) -> None:
    with built(_tree(tmp_path / "root"), ContainerConfig(), HOST) as source:
        write(source, tmp_path / "layout")
        layer = source.manifest.layers[0].digest.removeprefix("sha256:")
    with tarfile.open(tmp_path / "layout/blobs/sha256" / layer) as tar:
        members = {each.name: each for each in tar}
    assert sorted(members) == ["bin", "bin/also", "bin/tool"]
    assert members["bin/tool"].mode == 0o4755
    assert {(each.uid, each.gid, each.uname, each.mtime) for each in members.values()} == {(0, 0, "", 0)}


def test_a_built_image_is_read_back_from_its_layout(tmp_path: Path) -> None:
    config = ContainerConfig(cmd=("/bin/tool",), env=("A=b",))
    with built(_tree(tmp_path / "root"), config, HOST) as source:
        write(source, tmp_path / "layout")
        digest = source.digest
    with opened(tmp_path / "layout", HOST) as read:
        assert (read.digest, read.config.config) == (digest, config)


def test_a_missing_busybox_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="busybox-static"):
        busybox_root(tmp_path / "none", tmp_path / "root")
