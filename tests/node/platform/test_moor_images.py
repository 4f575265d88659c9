"""`moor image`: every format in, another registry's images in, and out again."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from moorage.oci import build
from tests.node.platform.installation import IMAGE, Installation, container_of


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system as a tar."""
    folder = tmp_path_factory.mktemp("rootfs")
    busybox = shutil.which("busybox")
    assert busybox is not None
    build.busybox_root(Path(busybox), folder / "root")
    with tarfile.open(folder / "rootfs.tar", "w") as tar:
        tar.add(folder / "root", ".")
    return folder / "rootfs.tar"


def runs(installation: Installation, image: str) -> bool:
    task = installation.ended(["sh", "-c", "exit 5"], container={"image": image})
    return bool(container_of(task).get("exitCode") == 5)


def digest(installation: Installation, name: str) -> str | None:
    listed = json.loads(installation.moor("image", "ls", "--json").stdout)
    return next((one["digest"] for one in listed if one["name"] == name), None)


def test_a_root_file_system_tar_plain_and_compressed(shared: Installation, rootfs: Path, tmp_path: Path) -> None:
    packed = tmp_path / "rootfs.tar.gz"
    packed.write_bytes(gzip.compress(rootfs.read_bytes(), 1))
    for file, name in ((rootfs, "test/rootfs:plain"), (packed, "test/rootfs:gz")):
        told = json.loads(shared.moor("image", "import", "--json", str(file), name).stdout)
        assert told["digest"] == digest(shared, name)
        assert runs(shared, name)


def test_an_oci_layout_as_folder_and_as_tar(shared: Installation, busybox_image: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layout.tar", "w") as tar:
        tar.add(busybox_image, ".")
    for source, name in ((busybox_image, "test/layout:folder"), (tmp_path / "layout.tar", "test/layout:tar")):
        shared.moor("image", "import", str(source), name)
        assert runs(shared, name)
    assert digest(shared, "test/layout:folder") == digest(shared, "test/layout:tar")


def test_what_docker_save_writes(shared: Installation, busybox_image: Path, tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo writes the archive; apt-get install skopeo")
    archive = tmp_path / "saved.tar"
    words = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "--quiet",
        f"oci:{busybox_image}",
        f"docker-archive:{archive}:some/name:1",
    ]
    subprocess.run(words, check=True, capture_output=True)
    shared.moor("image", "import", str(archive), "test/saved:1")
    assert runs(shared, "test/saved:1")


def test_what_is_no_image_is_refused_and_leaves_nothing(shared: Installation, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut.tar").write_bytes(rootfs.read_bytes()[: rootfs.stat().st_size // 2])
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(rootfs.read_bytes(), 1)[:100_000])
    for name in ("text", "empty", "cut.tar", "cut.tar.gz"):
        done = shared.moor("image", "import", str(tmp_path / name), "test/none:1", check=False)
        assert done.returncode == 1, name
        assert done.stderr.startswith("Error: "), done.stderr
        assert "Traceback" not in done.stderr
    assert shared.moor("image", "import", str(tmp_path / "absent"), "test/none:1", check=False).returncode == 2
    assert digest(shared, "test/none:1") is None


def test_names_that_are_none_are_refused(shared: Installation, rootfs: Path) -> None:
    for name in ("test/UPPER:1", "a b", "", "x:" + "y" * 200, "test/x@sha256:" + "0" * 64):
        done = shared.moor("image", "import", str(rootfs), name, check=False)
        assert done.returncode != 0, name
        assert "Traceback" not in done.stderr


def test_a_removed_image_is_gone_for_new_hosts_and_its_name_free(shared: Installation, rootfs: Path) -> None:
    shared.moor("image", "import", str(rootfs), "test/short-lived:1")
    assert "test/short-lived:1" in shared.moor("image", "rm", "test/short-lived:1").stdout
    assert digest(shared, "test/short-lived:1") is None
    task = shared.ended(["true"], container={"image": "test/short-lived:1"})
    assert task["stoppedReason"].startswith("CannotPullContainerError")


def test_an_image_is_pulled_from_another_registry_with_its_login(shared: Installation, own: Installation) -> None:
    user, password = own.key()
    name = f"127.0.0.1:{own.settings['port']}/{IMAGE}"
    login = ["--plain-http", "--username", user, "--password", password]
    assert "Error" in shared.moor("image", "pull", name, "--plain-http", "--as", "test/pulled:1", check=False).stderr
    shared.moor("image", "pull", name, *login, "--as", "test/pulled:1")
    assert digest(shared, "test/pulled:1") == digest(own, IMAGE)
    assert runs(shared, "test/pulled:1")
    shared.moor("image", "pull", name, *login)
    assert digest(shared, name) == digest(own, IMAGE) or digest(shared, IMAGE) == digest(own, IMAGE)
