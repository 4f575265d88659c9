"""Blobs: what is served of them, who shares them, when they go."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from moorage.dataplane.registry import Registry
from moorage.oci.digest import sha256
from moorage.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from tests.unit.registry.calls import call, push_blob

DATA = bytes(range(256)) * 6000
DIGEST = sha256(DATA)
SIZE = len(DATA)


def _content(tmp_path: Path) -> list[Path]:
    return [each for each in (tmp_path / "registry/content").rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=5-{SIZE * 2}", 5, SIZE),
        ("bytes=1000000-1200000", 1_000_000, 1_200_001),
    ],
)
async def test_a_range_is_served(registry: Registry, asked: str, start: int, end: int) -> None:
    await push_blob(registry, "app", DATA, DIGEST)
    answer = await call(registry, "GET", f"/v2/app/blobs/{DIGEST}", headers={"range": asked})
    assert (answer.status, answer.header("content-range")) == (206, f"bytes {start}-{end - 1}/{SIZE}")
    assert answer.body == DATA[start:end]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=9-3", "bytes=-0"])
async def test_a_range_without_a_byte_is_refused(registry: Registry, asked: str) -> None:
    await push_blob(registry, "app", DATA, DIGEST)
    answer = await call(registry, "GET", f"/v2/app/blobs/{DIGEST}", headers={"range": asked})
    assert (answer.status, answer.header("content-range")) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b"])
async def test_other_ranges_are_ignored(registry: Registry, asked: str) -> None:
    await push_blob(registry, "app", DATA, DIGEST)
    answer = await call(registry, "GET", f"/v2/app/blobs/{DIGEST}", headers={"range": asked})
    assert (answer.status, answer.body) == (200, DATA)


async def test_head_tells_length_and_digest(registry: Registry) -> None:
    await push_blob(registry, "app", DATA, DIGEST)
    answer = await call(registry, "HEAD", f"/v2/app/blobs/{DIGEST}")
    assert (answer.status, answer.length, answer.body) == (200, SIZE, b"")
    assert answer.header("docker-content-digest") == DIGEST


async def test_a_blob_of_another_repository_is_unknown_until_it_is_mounted(registry: Registry) -> None:
    await push_blob(registry, "one", DATA, DIGEST)
    assert (await call(registry, "HEAD", f"/v2/two/blobs/{DIGEST}")).status == 404
    answer = await call(registry, "POST", f"/v2/two/blobs/uploads/?mount={DIGEST}&from=one")
    assert (answer.status, answer.header("location")) == (201, f"/v2/two/blobs/{DIGEST}")
    answer = await call(registry, "POST", f"/v2/three/blobs/uploads/?mount={DIGEST}")
    assert answer.status == 201
    assert (await call(registry, "GET", f"/v2/three/blobs/{DIGEST}")).body == DATA


@pytest.mark.parametrize("source", ["&from=nobody", "&from=../one", "&from=one"])
async def test_a_mount_that_cannot_be_becomes_an_upload(registry: Registry, source: str) -> None:
    answer = await call(registry, "POST", f"/v2/two/blobs/uploads/?mount={DIGEST}{source}")
    assert (answer.status, answer.header("location")[:22]) == (202, "/v2/two/blobs/uploads/")


async def test_content_is_kept_once_and_goes_with_its_last_repository(registry: Registry, tmp_path: Path) -> None:
    for repository in ("one", "two", "two"):
        assert (await push_blob(registry, repository, DATA, DIGEST)).status == 201
    assert len(_content(tmp_path)) == 1
    assert (await call(registry, "DELETE", f"/v2/one/blobs/{DIGEST}")).status == 202
    assert (await call(registry, "HEAD", f"/v2/one/blobs/{DIGEST}")).status == 404
    assert (await call(registry, "GET", f"/v2/two/blobs/{DIGEST}")).body == DATA
    assert (await call(registry, "DELETE", f"/v2/two/blobs/{DIGEST}")).status == 202
    assert (await call(registry, "DELETE", f"/v2/two/blobs/{DIGEST}")).status == 404
    assert _content(tmp_path) == []


async def test_blobs_that_no_manifest_needs_are_swept_when_they_are_old(registry: Registry) -> None:
    config = b"{}"
    for data in (config, DATA):
        await push_blob(registry, "app", data, sha256(data))
    needed = {"mediaType": OCI_CONFIG, "digest": sha256(config), "size": len(config)}
    raw = msgspec.json.encode({"schemaVersion": 2, "config": needed, "layers": []})
    await call(registry, "PUT", "/v2/app/manifests/v1", raw, {"content-type": OCI_MANIFEST})
    await registry.sweep(0.0)
    assert (await call(registry, "HEAD", f"/v2/app/blobs/{DIGEST}")).status == 200
    await registry.sweep(1e12)
    assert (await call(registry, "HEAD", f"/v2/app/blobs/{DIGEST}")).status == 404
    assert (await call(registry, "HEAD", f"/v2/app/blobs/{sha256(config)}")).status == 200


async def test_content_that_a_crash_left_without_repository_is_swept(registry: Registry, tmp_path: Path) -> None:
    await push_blob(registry, "one", DATA, DIGEST)
    os.unlink(tmp_path / "registry/repositories/one/_blobs/sha256" / DIGEST.removeprefix("sha256:"))
    await registry.sweep(0.0)
    assert _content(tmp_path) == []
    assert (await push_blob(registry, "one", DATA, DIGEST)).status == 201
