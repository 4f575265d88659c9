"""A pull killed midway: nothing half-made is ever taken for a layer, and the next agent cleans up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.agent.drivers.images import ImageSources, ImageStore
from moorage.oci.transfer import push
from moorage.wire.http import Request, Response
from tests.unit.oci.images import file, image, tar
from tests.unit.registry.served import SECRET, USER, client, registry

pytestmark = pytest.mark.root

DEADLINE_S = 30.0
SOURCE = image(tar([file(f"f{at}", bytes([at]) * 300_000) for at in range(20)]), compress=False)
PULL = """
import sys
from pathlib import Path
from moorage.agent.drivers.images import ImageSources, ImageStore
root, url, user, secret = sys.argv[1:]
sources = ImageSources(installation_url=url, username=user, password=secret, other_registries=False)
ImageStore(Path(root), sources).ensure("app")
"""


def _half_of_the_layer(request: Request) -> Response | None:
    """Half of the layer's bytes, and then silence."""
    layer = SOURCE.manifest.layers[0]
    if request.method != "GET" or not request.path.endswith(layer.digest):
        return None

    async def body() -> AsyncIterator[bytes]:
        stream = SOURCE.open_blob(layer)
        yield stream.read(layer.size // 2)
        await asyncio.Event().wait()

    return Response(body=body(), length=layer.size)


def _killed_when_half_is_unpacked(root: Path, url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", PULL, root, url, USER, SECRET])
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        while not list(root.glob("scratch/*/*/f5")):
            assert process.poll() is None, "the pull ended by itself"
            assert time.monotonic() < deadline_s, "nothing is unpacked"
    finally:
        process.kill()
        process.wait()


def test_a_pull_that_is_killed_leaves_nothing_and_is_done_again(tmp_path: Path) -> None:
    root = tmp_path / "images"
    with registry(tmp_path / "registry") as url, client(url) as to:
        push(SOURCE, to, "app", "latest")
    with registry(tmp_path / "registry", _half_of_the_layer) as url:
        _killed_when_half_is_unpacked(root, url)
    assert list(root.glob("scratch/*/*/f5"))
    assert list((root / "layers").iterdir()) == []
    with registry(tmp_path / "registry") as url:
        sources = ImageSources(installation_url=url, username=USER, password=SECRET, other_registries=False)
        store = ImageStore(root, sources)
        try:
            assert not list(root.glob("scratch/*/*"))
            [layer] = store.ensure("app").layers
            assert (Path(layer) / "f19").read_bytes() == bytes([19]) * 300_000
        finally:
            store.close()
