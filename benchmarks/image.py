"""One image for all contenders: Debian's static busybox in an archive as `docker save` writes it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Final

from moorage.oci import build

NAME: Final = "bench/busybox:1"


def root(folder: Path) -> Path:
    """The root file system, unpacked: what a bare runtime is given."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox is not installed: apt-get install busybox-static")
    build.busybox_root(Path(busybox), folder)
    return folder


def archive(unpacked: Path, path: Path) -> Path:
    """`docker load` and `moor image import` both take it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(unpacked, ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            # What ends it is SIGKILL, for all contenders: nothing else is heard by a first process without handlers.
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], "StopSignal": "SIGKILL"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for entry, content in ((name, config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            info = tarfile.TarInfo(entry)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
