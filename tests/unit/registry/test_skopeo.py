"""skopeo, a client that is not ours, pushes, lists, copies and deletes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from moorage.oci.archive import opened
from moorage.oci.layout import write
from moorage.oci.manifest import host_platform
from tests.unit.oci.images import file, image, tar
from tests.unit.registry.served import SECRET, USER, registry

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs the Debian package skopeo")

SOURCE = image(tar([file("hello", b"world" * 100_000)]))


def _skopeo(*arguments: str | Path, credentials: str = f"{USER}:{SECRET}") -> subprocess.CompletedProcess[str]:
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]
    for side in ("--src-", "--dest-") if arguments[0] == "copy" else ("--",):
        command += [f"{side}creds", credentials, f"{side}tls-verify=false"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_an_image_goes_in_and_comes_out_unchanged(tmp_path: Path) -> None:
    write(SOURCE, tmp_path / "layout")
    with registry(tmp_path / "registry") as url:
        there = f"docker://{url.removeprefix('http://')}/team/app:v1"
        assert _skopeo("copy", f"oci:{tmp_path / 'layout'}", there).returncode == 0
        assert json.loads(_skopeo("inspect", there).stdout)["Digest"] == SOURCE.digest
        assert json.loads(_skopeo("list-tags", there.removesuffix(":v1")).stdout)["Tags"] == ["v1"]
        assert _skopeo("copy", there, f"docker-archive:{tmp_path / 'saved.tar'}:app:v1").returncode == 0
        assert _skopeo("delete", there).returncode == 0
        assert _skopeo("inspect", there).returncode != 0
    with opened(tmp_path / "saved.tar", host_platform()) as saved:
        assert saved.config.rootfs == SOURCE.config.rootfs


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_layer_that_skopeo_compresses_is_taken(tmp_path: Path, compression: str) -> None:
    write(image(tar([file("hello")]), compress=False), tmp_path / "layout")
    with registry(tmp_path / "registry") as url:
        there = f"docker://{url.removeprefix('http://')}/app:v1"
        copied = _skopeo("copy", "--dest-compress-format", compression, f"oci:{tmp_path / 'layout'}", there)
        assert copied.returncode == 0, copied.stderr


def test_a_wrong_secret_is_refused(tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as url:
        refused = _skopeo("list-tags", f"docker://{url.removeprefix('http://')}/app", credentials=f"{USER}:wrong")
        assert "unauthorized" in refused.stderr
