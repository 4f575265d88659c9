"""The stack that the store gives, mounted: the kernel sees what the image means."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moorage.agent.drivers.images import ImageSources, ImageStore
from moorage.agent.spec import DriverError
from moorage.dataplane.registry import Registry
from moorage.oci.client import RegistryClient
from moorage.oci.digest import sha256
from moorage.oci.transfer import push
from tests.unit.oci.images import Member, directory, file, image, tar
from tests.unit.registry.calls import call, push_blob
from tests.unit.registry.served import SECRET, USER, authenticate, client, registry

pytestmark = pytest.mark.root


@contextmanager
def _mounted(*arguments: str | Path) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True)


def _merged(tmp_path: Path, *layers: list[Member]) -> dict[str, bytes]:
    """The files of an image of these layers, as a container would see them."""
    with registry(tmp_path / "registry") as url, client(url) as to:
        push(image(*map(tar, layers)), to, "app", "latest")
        store = _store(tmp_path / "images", url)
        found = store.ensure("app")
        store.close()
    view = tmp_path / "view"
    view.mkdir()
    lower = ":".join(reversed(found.layers))
    if len(found.layers) == 1:  # overlayfs wants two where nothing is writable
        (tmp_path / "none").mkdir()
        lower = f"{lower}:{tmp_path / 'none'}"
    with _mounted("-t", "overlay", "-o", f"ro,lowerdir={lower}", "overlay", view):
        return {str(each.relative_to(view)): each.read_bytes() for each in view.rglob("*") if each.is_file()}


def _store(root: Path, url: str) -> ImageStore:
    return ImageStore(
        root, ImageSources(installation_url=url, username=USER, password=SECRET, other_registries=False)
    )


def test_whiteouts_hide_files_and_directories(tmp_path: Path) -> None:
    seen = _merged(
        tmp_path,
        [file("a", b"1"), file("b", b"1"), file("d/x", b"1"), file("e/x", b"1")],
        [file(".wh.a"), file("b", b"2"), file(".wh.d"), file("e/.wh..wh..opq"), file("e/y", b"2")],
    )
    assert seen == {"b": b"2", "e/y": b"2"}


def test_a_directory_made_anew_shows_nothing_of_the_old(tmp_path: Path) -> None:
    seen = _merged(
        tmp_path, [file("d/old", b"1")], [file(".wh.d"), directory("d"), file("d/new", b"2")], [file("d/more", b"3")]
    )
    assert seen == {"d/new": b"2", "d/more": b"3"}


def test_a_layer_may_occur_twice(tmp_path: Path) -> None:
    first = [file("a", b"1"), file("b", b"1")]
    assert _merged(tmp_path, first, [file(".wh.a"), file("b", b"2"), file("c", b"2")], first) == {
        "a": b"1",
        "b": b"1",
        "c": b"2",
    }


def test_an_opaque_top_hides_every_layer_below(tmp_path: Path) -> None:
    assert _merged(tmp_path, [file("a", b"1")], [file(".wh..wh..opq"), file("b", b"2")]) == {"b": b"2"}


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with (
        _mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", small),
        registry(tmp_path / "registry") as url,
        client(url) as to,
    ):
        _push_large(to)
        store = _store(small / "images", url)
        with pytest.raises(DriverError, match="no space left on device") as failure:
            store.ensure("large")
        assert failure.value.kind == "CannotPullContainerError"
        assert list((small / "images/layers").iterdir()) == []
        store.close()
        assert list((small / "images/scratch").iterdir()) == []


def _push_large(to: RegistryClient) -> None:
    push(image(tar([file("large", bytes(range(256)) * 10_000)])), to, "large", "latest")


def test_a_registry_with_a_full_disk_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    data = bytes(4_000_000)

    async def fill() -> None:
        full = Registry(small / "registry", authenticate)
        answer = await push_blob(full, "app", data, sha256(data))
        assert (answer.status, b"no space left" in answer.body) == (507, True)
        begun = (await call(full, "POST", "/v2/app/blobs/uploads/")).header("location")
        assert (await call(full, "PUT", f"{begun}?digest={sha256(data)}", data)).status == 507
        assert (await push_blob(full, "app", data[:1000], sha256(data[:1000]))).status == 201

    with _mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", small):
        asyncio.run(fill())
