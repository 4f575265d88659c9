"""Unpack one image layer into a directory that overlayfs can take as lower directory.

The tar may be hostile. Every path is resolved by the kernel beneath the layer's own directory (openat2 with
RESOLVE_IN_ROOT): links lead where they would lead in the container, never out. The last component is never
followed. Whiteouts become overlayfs' own: a 0:0 character device hides a name, an `opaque` attribute a
directory's lower content; attributes that would steer overlayfs are not taken from the layer.

Sources: https://github.com/opencontainers/image-spec/blob/main/layer.md, openat2(2),
https://docs.kernel.org/filesystems/overlayfs.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.drivers.trees import empty
from moorage.oci.digest import Readable
from moorage.oci.errors import ImageCorrupt
from moorage.oci.tar import Entry, TarReader

# Fargate's largest ephemeral storage is 200 GiB; a layer beyond it could not be used by any task.
LAYER_MAX_BYTES: Final = 200 * 1024**3
# The largest layers known (whole distributions) have a few 100,000; this many would take a file system's inodes.
LAYER_MAX_ENTRIES: Final = 5_000_000
# Directories held open while their files are unpacked; tars go through a tree in order.
_OPEN_DIRECTORIES: Final = 64
# (uid_t)-1 means "leave it" to chown, so it is no owner.
_ID_MAX: Final = 0xFFFFFFFE

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_AUFS_OWN: Final = b".wh..wh."  # aufs' own bookkeeping, of no meaning elsewhere
_OPAQUE_XATTR: Final = "trusted.overlay.opaque"

# What a hostile or broken layer can make a system call say; anything else is this host's trouble.
_LAYERS_FAULT: Final = frozenset(
    {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOENT, errno.EINVAL,
     errno.EMLINK, errno.EXDEV, errno.E2BIG, errno.ERANGE}
)  # fmt: skip

_SYS_OPENAT2: Final = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_IN_ROOT: Final = 0x10
# The kernel gives up a resolution with EAGAIN where something was renamed meanwhile, anywhere on the host.
_RESOLVE_TRIES: Final = 64

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_DIRECTORY = _OpenHow(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer came to."""

    entries: int
    size_bytes: int


def unpack(stream: Readable, root: Path) -> Unpacked:
    """Unpack the plain tar `stream` into the empty directory `root`; needs the rights of root.

    Raises `ImageCorrupt` where the layer is at fault and `OSError` where this host is (a full disk).
    """
    unpacker = _Unpacker(root)
    try:
        return unpacker.run(TarReader(stream))
    finally:
        unpacker.close()


def is_opaque(directory: Path) -> bool:
    """Whether the directory hides what the layers below have in its place."""
    try:
        return os.getxattr(directory, _OPAQUE_XATTR) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


class _Unpacker:
    """The unpacking of one layer."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._times: dict[bytes, int] = {}  # directories get theirs last, when nothing is written into them any more
        self._bytes = 0

    def close(self) -> None:
        self._forget_directories()
        os.close(self._root)

    def run(self, tar: TarReader) -> Unpacked:
        count = 0
        for entry in tar:
            count += 1
            self._bytes += entry.size
            if count > LAYER_MAX_ENTRIES:
                raise ImageCorrupt(f"layer: more than {LAYER_MAX_ENTRIES} entries")
            if self._bytes > LAYER_MAX_BYTES:
                raise ImageCorrupt(f"layer: more than {LAYER_MAX_BYTES >> 30} GiB unpacked")
            try:
                self._place(entry, tar)
            except OSError as error:
                raise _blamed(error, entry.name) from error
        self._set_directory_times()
        return Unpacked(entries=count, size_bytes=self._bytes)

    def _place(self, entry: Entry, tar: TarReader) -> None:
        path = _clean(entry.name)
        if entry.uid > _ID_MAX or entry.gid > _ID_MAX:
            raise ImageCorrupt(f"layer: {_shown(path)} has an impossible owner, {entry.uid}:{entry.gid}")
        if not path:
            if entry.kind != "dir":
                raise ImageCorrupt(f"layer: its top is a {entry.kind}, not a directory")
            self._dress_root(entry)
            return
        directory, _, name = path.rpartition(b"/")
        parent = self._directory(directory)
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, name, path)
        elif entry.kind == "dir":
            self._make_directory(parent, name, path, entry)
        elif entry.kind == "link":
            self._link(parent, name, path, entry)
        else:
            self._clear(parent, name)
            self._make_node(parent, name, entry, tar)

    def _make_node(self, parent: int, name: bytes, entry: Entry, tar: TarReader) -> None:
        if entry.kind == "file":
            self._write_file(parent, name, entry, tar)
            return
        if entry.kind == "symlink":
            if not entry.link:
                raise ImageCorrupt(f"layer: {_shown(entry.name)} is a symbolic link to nothing")
            os.symlink(entry.link, name, dir_fd=parent)
        else:
            types = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO}
            os.mknod(name, types[entry.kind] | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != "symlink":
            os.chmod(name, entry.mode, dir_fd=parent)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    @staticmethod
    def _write_file(parent: int, name: bytes, entry: Entry, tar: TarReader) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            for piece in tar.content():
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, piece[written:])
            _dress(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _make_directory(self, parent: int, name: bytes, path: bytes, entry: Entry) -> None:
        there = _lstat(parent, name)
        if there is not None and not stat.S_ISDIR(there.st_mode):
            self._clear(parent, name)
        if there is None or not stat.S_ISDIR(there.st_mode):
            os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if there is not None and _is_whiteout(there):
                # The layer removed what was below and made a new directory: nothing from below may show in it.
                os.setxattr(fd, _OPAQUE_XATTR, b"y")
            _dress(fd, entry)
        finally:
            os.close(fd)
        self._times[path] = entry.mtime_ns

    def _dress_root(self, entry: Entry) -> None:
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        try:
            _dress(fd, entry)
        finally:
            os.close(fd)
        self._times[b""] = entry.mtime_ns

    def _link(self, parent: int, name: bytes, path: bytes, entry: Entry) -> None:
        target = _clean(entry.link)
        if target == path:
            return
        directory, _, target_name = target.rpartition(b"/")
        if not target_name:
            raise ImageCorrupt(f"layer: {_shown(path)} is a hard link to the top")
        self._clear(parent, name)
        # Opening the target's directory may close others in the cache, so the parent is asked for again after it.
        target_parent = self._directory(directory)
        parent = self._directory(path.rpartition(b"/")[0])
        there = _lstat(target_parent, target_name)
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise ImageCorrupt(f"layer: {_shown(path)} is a hard link to a directory")
        os.link(target_name, name, src_dir_fd=target_parent, dst_dir_fd=parent, follow_symlinks=False)

    def _whiteout(self, parent: int, name: bytes, path: bytes) -> None:
        if name == _OPAQUE:
            os.setxattr(f"/proc/self/fd/{parent}", _OPAQUE_XATTR, b"y")
            return
        if name.startswith(_AUFS_OWN):
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in (b"", b".", b".."):
            raise ImageCorrupt(f"layer: {_shown(path)} hides no possible name")
        there = _lstat(parent, hidden)
        if there is None:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        elif stat.S_ISDIR(there.st_mode):
            # A whiteout speaks of the layers below only: what this layer itself has put there stays.
            os.setxattr(f"/proc/self/fd/{parent}/".encode() + hidden, _OPAQUE_XATTR, b"y", follow_symlinks=False)

    def _clear(self, parent: int, name: bytes) -> None:
        """Make way for a new entry of the same name; a later entry of a tar wins."""
        there = _lstat(parent, name)
        if there is None:
            return
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(name, dir_fd=parent)
        else:
            empty(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent))
            os.rmdir(name, dir_fd=parent)
        if stat.S_ISDIR(there.st_mode) or stat.S_ISLNK(there.st_mode):
            # Directories held open by path may have been beneath it. The parent itself is not: it stays open.
            self._forget_directories(but=parent)

    def _directory(self, path: bytes) -> int:
        """The directory at `path` of the layer, links within the layer followed, made where it is missing."""
        if not path:
            return self._root
        fd = self._open.get(path)
        if fd is not None:
            self._open.move_to_end(path)
            return fd
        try:
            fd = _open_beneath(self._root, path)
        except (FileNotFoundError, NotADirectoryError):
            fd = self._make_way(path)
        if len(self._open) >= _OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        self._open[path] = fd
        return fd

    def _make_way(self, path: bytes) -> int:
        """Parents that the tar forgot to list: root's, and for all to read.

        The longest part that is there is found by halving: a hostile tar that names ever new paths of PATH_MAX
        would otherwise cost the square of their depth for each entry. Below it everything is new, so plain.
        """
        parts = path.split(b"/")
        there, missing = 0, len(parts)
        while missing - there > 1:
            middle = (there + missing) // 2
            try:
                os.close(_open_beneath(self._root, b"/".join(parts[:middle])))
            except (FileNotFoundError, NotADirectoryError):
                missing = middle
            else:
                there = middle
        fd = _open_beneath(self._root, b"/".join(parts[:there]) or b".")
        for part in parts[there:]:
            above = fd
            try:
                _make_parent(above, part)
                fd = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            finally:
                os.close(above)
        return fd

    def _forget_directories(self, but: int | None = None) -> None:
        kept = {path: fd for path, fd in self._open.items() if fd == but}
        for fd in self._open.values():
            if fd != but:
                os.close(fd)
        self._open = OrderedDict(kept)

    def _set_directory_times(self) -> None:
        for path, mtime_ns in self._times.items():
            directory, _, name = path.rpartition(b"/")
            try:
                parent = self._directory(directory)
                there = _lstat(parent, name or b".")
                if there is not None and stat.S_ISDIR(there.st_mode):
                    os.utime(name or b".", ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                raise _blamed(error, path) from error


def _open_beneath(root: int, path: bytes) -> int:
    for _ in range(_RESOLVE_TRIES):
        fd = _libc.syscall(_SYS_OPENAT2, root, path, ctypes.byref(_DIRECTORY), ctypes.sizeof(_DIRECTORY))
        if fd >= 0:
            return int(fd)
        if ctypes.get_errno() != errno.EAGAIN:
            break
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), path)


def _make_parent(above: int, name: bytes) -> None:
    there = _lstat(above, name)
    hidden = there is not None and _is_whiteout(there)
    if hidden:
        os.unlink(name, dir_fd=above)
    os.mkdir(name, 0o755, dir_fd=above)
    os.chmod(name, 0o755, dir_fd=above)
    if hidden:
        os.setxattr(f"/proc/self/fd/{above}/".encode() + name, _OPAQUE_XATTR, b"y", follow_symlinks=False)


def _lstat(parent: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_whiteout(there: os.stat_result) -> bool:
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def _dress(fd: int, entry: Entry) -> None:
    """Owner first: a change of owner takes setuid bits and capabilities away."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    for name, value in entry.xattrs.items():
        if _is_taken(name):
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                # A file system without user attributes or ACLs does not make an image unusable; one that
                # cannot keep a file's capabilities does.
                if error.errno != errno.ENOTSUP or name == b"security.capability":
                    raise


def _is_taken(name: bytes) -> bool:
    """Attributes that belong to the image. `*.overlay.*` and labels of the builder's host do not."""
    if name.startswith(b"user."):
        return not name.startswith(b"user.overlay.")
    return name in (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")


def _clean(name: bytes) -> bytes:
    """`name` relative to the layer's top; one with `..` in it is refused, whatever it would resolve to."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise ImageCorrupt(f"layer: {_shown(name)} leads out of its directory")
    return b"/".join(parts)


def _blamed(error: OSError, name: bytes) -> Exception:
    if error.errno in _LAYERS_FAULT:
        return ImageCorrupt(f"layer: {_shown(name)}: {error.strerror}")
    return OSError(error.errno, error.strerror, os.fsdecode(name[:200]))


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "replace"))
