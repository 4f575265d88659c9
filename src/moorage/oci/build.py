"""Small images made on the spot: a directory and a configuration become an image of one layer.

The same directory gives the same digest every time: entries are sorted, owners and times are set.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from moorage.oci import manifest
from moorage.oci.compression import CHUNK_BYTES
from moorage.oci.digest import hasher
from moorage.oci.errors import ImageError
from moorage.oci.manifest import ContainerConfig, Descriptor, Platform
from moorage.oci.rootfs import one_layer
from moorage.oci.source import ImageSource
from moorage.oci.streams import HashingReader, drain

_PASSWD: Final = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP: Final = "root:x:0:\nnogroup:x:65534:\n"
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@contextmanager
def built(root: Path, config: ContainerConfig, built_for: Platform, *, mtime_s: int = 0) -> Iterator[ImageSource]:
    """The image of `root`, for as long as the `with` lasts. Everything in it belongs to root."""
    with tempfile.TemporaryFile(prefix="moorage-build-") as blob:
        _write_tar(root, blob, mtime_s)
        blob.seek(0)
        stream = HashingReader(blob, hasher("sha256"))
        drain(stream)
        digest = "sha256:" + stream.hexdigest()
        layer = Descriptor(media_type=manifest.OCI_LAYER, digest=digest, size=stream.count)
        yield one_layer(blob, layer, digest, built_for, config)


def busybox_root(busybox: Path, root: Path) -> ContainerConfig:
    """Lay out a small system around a static busybox (Debian: `busybox-static`); how it is started."""
    for name in ("bin", "etc", "root", "tmp", "dev", "proc", "sys", "var", "home", "usr/bin", "usr/sbin", "sbin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
    target = root / "bin/busybox"
    try:
        shutil.copyfile(busybox, target)
    except FileNotFoundError:
        raise ImageError(f"{busybox} is missing; on Debian, install the package busybox-static") from None
    target.chmod(0o755)
    listing = subprocess.run([target, "--list"], check=True, capture_output=True, text=True)
    for applet in listing.stdout.split():
        if applet != "busybox" and not (root / "bin" / applet).is_symlink():
            (root / "bin" / applet).symlink_to("busybox")
    return ContainerConfig(env=(_PATH,), cmd=("/bin/sh",), working_dir="/")


def _write_tar(root: Path, out: BinaryIO, mtime_s: int) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, bufsize=CHUNK_BYTES) as tar:
        for path in sorted(_walk(root)):
            info = tar.gettarinfo(path, arcname=str(path.relative_to(root)))
            # The builder's own user must not show in the image.
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = mtime_s
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info, io.BytesIO())
    out.flush()


def _walk(root: Path) -> Iterator[Path]:
    """Everything below `root` but sockets, which no tar can hold; links are entries, not ways."""
    for here, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(here) / name
            if not path.is_socket():
                yield path
