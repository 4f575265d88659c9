"""One installation for all tests of the platform; tests that break programs start their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.oci import build, layout
from moorage.oci.manifest import Platform
from tests.node.platform.installation import IMAGE, Installation, free_port


@pytest.fixture(scope="session")
def busybox_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout with Debian's static busybox."""
    busybox = shutil.which("busybox")
    assert busybox, "apt-get install busybox-static"
    folder = tmp_path_factory.mktemp("busybox")
    config = build.busybox_root(Path(busybox), folder / "root")
    with build.built(folder / "root", config, Platform(os="linux", architecture="amd64")) as source:
        layout.write(source, folder / "image")
    return folder / "image"


def started(home: Path, image: Path, *words: str) -> Installation:
    """A new installation that has the image."""
    installation = Installation(home)
    installation.up("--listen", f"127.0.0.1:{free_port()}", *words)
    installation.moor("image", "import", str(image), IMAGE)
    installation.ecs.create_cluster(clusterName="default")
    return installation


@pytest.fixture(scope="session")
def file_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that stands for the file system fs-0123abcd in the shared installation."""
    return tmp_path_factory.mktemp("efs")


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory, busybox_image: Path, file_system: Path
) -> Iterator[Installation]:
    """The installation that most tests use; at the end nothing of it may be left."""
    home = tmp_path_factory.mktemp("shared") / "home"
    installation = started(home, busybox_image, "--file-system", f"fs-0123abcd={file_system}")
    try:
        yield installation
    finally:
        installation.down()


@pytest.fixture
def own(tmp_path: Path, busybox_image: Path) -> Iterator[Installation]:
    """An installation for one test, to be broken."""
    installation = started(tmp_path / "home", busybox_image)
    try:
        yield installation
    finally:
        installation.down()


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[Installation]:
    """An installation for the tests of one file, whose programs they kill."""
    installation = started(tmp_path_factory.mktemp("breakable") / "home", busybox_image)
    try:
        yield installation
    finally:
        installation.down()
