"""Root filesystems: an overlay of the image's layers under a directory of the container's own.

An overlay is mounted on the launch namespace's stage, the runtime takes its own copy of the mount, and the stage's is
taken away again: the mount then lives and dies with the container. Layers are handed to the kernel as descriptors
(`/proc/self/fd/N`), so that an image of 127 layers fits into the one page that mount options have.

Lowest of all lies a layer of empty mount points, so that the runtime need not make those that the image lacks: each
would be a directory copied up and a file made on disk, at every start.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from moorage.agent.drivers import syscalls
from moorage.agent.spec import DriverError

STAGE_BYTES: Final = 1 << 30  # a bound, not a reservation: about 40 KiB per container
LAYERS_MAX: Final = 127  # Docker's own bound; overlayfs takes 500, the mount options' page some 250


class UserNamespace(NamedTuple):
    fd: int
    first_id: int  # on the host, of what is 0 inside


def prepare_stage(stage: Path) -> None:
    """Call inside the launch namespace: a place in memory that every user can pass through and only it sees.

    In memory, because a start makes some twenty small files that matter to nobody after a reboot. Passable, because
    the node's directory may lie below one that is closed to all but root, where a runtime that has become root of a
    user namespace could not reach a root filesystem.
    """
    syscalls.mount("moorage", str(stage), "tmpfs", syscalls.MS_NODEV, f"mode=0711,size={STAGE_BYTES},nr_inodes=0")
    for name in ("bundles", "bin", "runtime", "volumes"):
        (stage / name).mkdir(mode=0o711)


def make_mount_points(base: Path) -> None:
    """The lowest layer of every root filesystem."""
    for name in ("etc", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        (base / name).touch(mode=0o644)


@contextlib.contextmanager
def mounted(layers: Sequence[str], own: Path, target: Path, user: UserNamespace | None) -> Iterator[Path]:
    """The root filesystem, for as long as the block runs; what a runtime copied of it stays.

    `layers` lie lowest first; `own` holds the container's changes, `target` is where the mount is seen. With a user
    namespace, every layer of the image is seen through its id mapping: the image's root is the namespace's root, and
    the host's root owns nothing in it.
    """
    if not 0 < len(layers) <= LAYERS_MAX:
        reason = f"the image has {len(layers)} layers; between 1 and {LAYERS_MAX} can be mounted"
        raise DriverError("CannotCreateContainerError", reason)
    upper, work = own / "upper", own / "work"
    for directory in (upper, work):
        directory.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    with contextlib.ExitStack() as cleanup:
        lower = [_open_layer(layer, cleanup) for layer in reversed(layers)]
        if user is not None:
            places = (target.with_name(f"layer-{number}") for number in range(LAYERS_MAX + 1))
            lower = [_mapped(f"/proc/self/fd/{fd}", user.fd, cleanup, next(places)) for fd in lower]
            # The changes are not mapped: they are written under the container's own ids, and so must be their root.
            os.chown(upper, user.first_id, user.first_id)
        options = ":".join(f"/proc/self/fd/{fd}" for fd in lower)
        # volatile: nobody reads the container's changes after it, so nothing waits for the disk at unmount.
        data = f"lowerdir={options},upperdir={upper},workdir={work},volatile"
        try:
            syscalls.mount("moorage", str(target), "overlay", 0, data)
        except OSError as error:
            raise DriverError("CannotCreateContainerError", _explain(error)) from error
        cleanup.callback(syscalls.umount, str(target))
        yield target


def _open_layer(layer: str, cleanup: contextlib.ExitStack) -> int:
    try:
        fd = os.open(layer, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        reason = f"a layer of the image cannot be opened: {layer}: {error.strerror}"
        raise DriverError("CannotCreateContainerError", reason) from error
    cleanup.callback(os.close, fd)
    return fd


def _mapped(path: str, user_namespace: int, cleanup: contextlib.ExitStack, place: Path) -> int:
    """A descriptor of `path` seen through the namespace's ids.

    Kernels before 6.15 let overlayfs use only mounts that are attached somewhere, so it is, on the stage.
    """
    clone = syscalls.clone_mount(path)
    try:
        try:
            syscalls.map_mount_ids(clone, user_namespace)
        except OSError as error:
            reason = (
                "isolation 'userns' needs Linux 5.19 or newer and image layers on a filesystem that can map ids "
                f"(ext4, xfs, btrfs): {error.strerror}"
            )
            raise DriverError("CannotCreateContainerError", reason) from error
        place.mkdir()
        cleanup.callback(place.rmdir)
        syscalls.attach_mount(clone, str(place))
        cleanup.callback(syscalls.umount, str(place))
        fd = os.open(place, os.O_PATH | os.O_DIRECTORY)
    finally:
        os.close(clone)
    cleanup.callback(os.close, fd)
    return fd


@contextlib.contextmanager
def mapped(path: str, user_namespace: int, place: Path) -> Iterator[None]:
    """Show the directory `path` at `place` through the namespace's ids, for as long as the block runs."""
    with contextlib.ExitStack() as cleanup:
        _mapped(path, user_namespace, cleanup, place)
        yield


def _explain(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space left on the node's disk for the container's root filesystem"
    if error.errno == errno.EINVAL:
        return (
            "the kernel refused the overlay of the image's layers; the node's directory must lie on a filesystem "
            "that overlayfs can write to (not on overlayfs itself, not on NFS)"
        )
    return f"mounting the container's root filesystem: {error.strerror}"
