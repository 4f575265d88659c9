"""Volumes: where the data lies that a task's containers share, or that outlives them.

| volume | lies in | goes with |
|---|---|---|
| scratch, docker of one task | the sandbox's directory | the sandbox |
| docker, shared | the node's `volumes/<name>` | nobody: it is the operator's data |
| host, efs | the directory that was named | nobody |

Docker volumes with options are mounted on the stage, never below a directory that is removed as a tree: what is
mounted there may be somebody's data. As everything on the stage the mounts go when the node is closed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from moorage.agent.drivers import processes, syscalls
from moorage.agent.drivers.namespaces import write_file
from moorage.agent.drivers.records import SandboxRecord
from moorage.agent.drivers.storage import Storage, unmount
from moorage.agent.spec import (
    ContainerId,
    DockerVolume,
    DriverError,
    FileSystemVolume,
    HostVolume,
    Volume,
)

_KIND: Final = "ResourceInitializationError"
_OPTIONS: Final = frozenset({"type", "device", "o"})
# File systems whose data crosses a network, as /proc/self/mountinfo names them.
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "glusterfs", "lustre"})


class Source(NamedTuple):
    """A volume as it lies on the host."""

    path: Path
    filled_from_image: bool = False  # as Docker fills a volume that is empty with what the image has at its place
    owned_by_ids: bool = False  # its files' owners are ids inside the container, whatever its user namespace


class _Kept(msgspec.Struct, frozen=True):
    """The note beside a shared volume's data."""

    options: tuple[tuple[str, str], ...] = ()


class Volumes:
    """The volumes of one node; methods that mount must run on a crew thread."""

    def __init__(self, storage: Storage, directory: Path, stage: Path, file_systems: Mapping[str, str]) -> None:
        self._storage = storage
        self._shared = directory / "volumes"
        self._stage = stage / "volumes"
        self._file_systems = file_systems
        self._lock = threading.Lock()

    def prepare(self, sandbox: SandboxRecord) -> None:
        """Have all volumes of a sandbox there, or refuse the sandbox; again is harmless."""
        for volume in sandbox.volumes:
            self.source(sandbox, volume.name)

    def source(self, sandbox: SandboxRecord, name: str) -> Source:
        """Where a volume of the sandbox lies; it is there when this returns."""
        volume = next((each for each in sandbox.volumes if each.name == name), None)
        if volume is None:
            raise DriverError(_KIND, f"the task has no volume {name}")
        with self._lock:
            return self._source(sandbox, volume)

    def _source(self, sandbox: SandboxRecord, volume: Volume) -> Source:
        if isinstance(volume, HostVolume):
            return Source(_host_path(volume.path))
        if isinstance(volume, FileSystemVolume):
            return Source(self._in_file_system(volume), owned_by_ids=True)
        if isinstance(volume, DockerVolume) and volume.shared:
            data, key = self._shared_directory(volume), f"shared-{volume.name}"
        else:
            data, key = self._own_directory(sandbox, volume.name), f"{sandbox.id}-{volume.name}"
        if isinstance(volume, DockerVolume) and volume.options:
            data = self._mounted(key, dict(volume.options))
        return Source(data, filled_from_image=True)

    def _own_directory(self, sandbox: SandboxRecord, name: str) -> Path:
        directory = self._storage.directory(sandbox) / "volumes" / name
        _make(directory, sandbox.first_id)
        return directory

    def of_image(self, sandbox: SandboxRecord, container: ContainerId, target: str) -> Source:
        """A volume that an image declares at `target`."""
        index = container.rpartition("-")[2]
        # No name of a task definition begins with a dot.
        name = f".image-{index}-{hashlib.blake2b(target.encode(), digest_size=8).hexdigest()}"
        return Source(self._own_directory(sandbox, name), filled_from_image=True)

    # ---- docker volumes ---------------------------------------------------------------------------------------

    def _shared_directory(self, volume: DockerVolume) -> Path:
        home = self._shared / volume.name
        note, data = home / "volume.json", home / "data"
        if not data.is_dir():
            if not volume.autoprovision:
                reason = f"the shared volume {volume.name} does not exist, and autoprovision is off"
                raise DriverError(_KIND, reason)
            home.mkdir(parents=True, exist_ok=True, mode=0o711)
            write_file(note, msgspec.json.encode(_Kept(volume.options)))
            data.mkdir(mode=0o755)  # last: it is what says that the volume exists
        kept = _Kept()
        with contextlib.suppress(FileNotFoundError):  # made by hand, by an operator
            kept = msgspec.json.decode(note.read_bytes(), type=_Kept)
        if volume.autoprovision and dict(kept.options) != dict(volume.options):
            raise DriverError(_KIND, f"the shared volume {volume.name} exists with other driver options")
        return data

    def _mounted(self, key: str, options: Mapping[str, str]) -> Path:
        place = self._stage / key
        if os.path.ismount(place):
            return place
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown or "device" not in options:
            what = f"does not know the option {unknown[0]}" if unknown else "needs the option device"
            raise DriverError(_KIND, f"the volume driver local {what}")
        place.mkdir(parents=True, exist_ok=True, mode=0o711)
        arguments = ["-t", options["type"]] if options.get("type") else []
        arguments += ["-o", options["o"]] if options.get("o") else []
        mount = processes.find_tool("mount", "mount")
        code, said = processes.run_tool(mount, [*arguments, "--", options["device"], str(place)])
        if code != 0:
            place.rmdir()
            raise DriverError(_KIND, f"mounting the volume {key.partition('-')[2]}: {said}")
        return place

    def release(self, sandbox: SandboxRecord) -> None:
        """Unmount what is the sandbox's alone; its directories go with the sandbox's own."""
        for volume in sandbox.volumes:
            if isinstance(volume, DockerVolume) and volume.options and not volume.shared:
                unmount(self._stage / f"{sandbox.id}-{volume.name}")
        unmount(self._stage / f"{sandbox.id}-shm")

    def shared_memory(self, sandbox: SandboxRecord, size_bytes: int) -> Path:
        """The /dev/shm of all containers of a sandbox; the first decides its size, as a pause container's would."""
        place = self._stage / f"{sandbox.id}-shm"
        with self._lock:
            if not os.path.ismount(place):
                place.mkdir(parents=True, exist_ok=True)
                flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
                syscalls.mount("shm", str(place), "tmpfs", flags, f"mode=1777,size={size_bytes}")
        return place

    # ---- file systems ---------------------------------------------------------------------------------------

    def _in_file_system(self, volume: FileSystemVolume) -> Path:
        top = self._file_systems.get(volume.file_system)
        if top is None:
            raise DriverError(
                _KIND, f"the node's settings have no directory for the file system {volume.file_system}"
            )
        try:
            root = os.open(top, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            reason = f"the directory {top} of the file system {volume.file_system}: {error.strerror}"
            raise DriverError(_KIND, reason) from error
        try:
            fd = syscalls.open_in_root(root, volume.root.strip("/") or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            reason = f"{volume.root} in the file system {volume.file_system}: {error.strerror}"
            raise DriverError(_KIND, reason) from error
        finally:
            os.close(root)
        try:
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        finally:
            os.close(fd)
        kind = _file_system_type(path)
        if volume.encrypted and (kind in _REMOTE or kind.startswith("fuse.")):
            reason = f"{path} is a {kind} mount of the host, of which nobody here knows whether it is encrypted"
            raise DriverError(_KIND, f"the file system {volume.file_system}: {reason}")
        return path

    # ---- filling --------------------------------------------------------------------------------------------

    def fill(self, source: Source, root: int, target: str) -> None:
        """Give an empty volume what the image whose root is open has at `target`, owners and modes too."""
        if not source.filled_from_image:
            return
        with self._lock:
            if os.listdir(source.path):
                return
            with _directory_in(root, target) as found:
                if found is None:
                    return
                facts = os.stat(found)
                os.chown(source.path, facts.st_uid, facts.st_gid)
                source.path.chmod(stat.S_IMODE(facts.st_mode))
                if not os.listdir(found):
                    return
                copy = processes.find_tool("cp", "coreutils")
                code, said = processes.run_tool(copy, ["-a", "--", f"{found}/.", str(source.path)])
            if code != 0:
                raise DriverError(_KIND, f"copying the image's {target} into its volume: {said}")


@contextlib.contextmanager
def _directory_in(root: int, target: str) -> Iterator[str | None]:
    """A path by which other programs find the directory `target` of a root filesystem; None where it has none."""
    try:
        fd = syscalls.open_in_root(root, target.strip("/") or ".", os.O_PATH | os.O_DIRECTORY)
    except OSError:
        yield None
        return
    try:
        yield f"/proc/{os.getpid()}/fd/{fd}"
    finally:
        os.close(fd)


def _host_path(path: str) -> Path:
    found = Path(path)
    try:
        if not found.exists():  # as Docker makes the source of a bind mount
            found.mkdir(parents=True, mode=0o755)
    except OSError as error:
        raise DriverError(_KIND, f"the host's directory {path} cannot be made: {error.strerror}") from error
    return found


def _make(directory: Path, owner: int) -> None:
    directory.parent.mkdir(exist_ok=True, mode=0o711)
    if not directory.is_dir():
        directory.mkdir(mode=0o755)
        if owner:
            os.chown(directory, owner, owner)


def _file_system_type(path: Path) -> str:
    """Of the mount that `path` lies on."""
    best, kind = "", ""
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        place = left.split()[4].encode().decode("unicode_escape")
        inside = place == "/" or f"{path}/".startswith(f"{place}/")
        if inside and len(place) >= len(best):  # the later of two on one place lies on top
            best, kind = place, right.split()[0]
    return kind
