"""What a container finds mounted besides its root filesystem, in the order in which it is mounted."""

from __future__ import annotations

from typing import Final

from moorage.agent.drivers import oci
from moorage.agent.spec import ContainerSpec, IpcMode, Mount

SHM_BYTES: Final = 64 << 20  # /dev/shm as Docker makes it
INIT_PATH: Final = "/dev/init"
_GUARDED: Final = ("nosuid", "noexec", "nodev")


def of_container(
    spec: ContainerSpec, shared: tuple[Mount, ...], ipc: IpcMode, shm: str, init: str
) -> tuple[oci.OciMount, ...]:
    """The mounts of a container.

    `shared` are files and directories of the host; `shm` is the directory that several containers have as /dev/shm
    (empty: one of its own); `init` is the init program's path on the host, or empty.
    """
    asked = [_bind(each) for each in shared]
    asked += [_mount(each.target, "tmpfs", "tmpfs", *each.options) for each in spec.tmpfs]
    # A directory before what lies inside it, whatever the order in which they were asked for; as Docker does.
    asked.sort(key=lambda each: each.destination.rstrip("/").count("/"))
    mounts = [*_kernels(spec), *_shared_memory(spec, ipc, shm), *asked]
    if init:
        mounts.append(_mount(INIT_PATH, "bind", init, "bind", "ro"))
    return tuple(mounts)


def _kernels(spec: ContainerSpec) -> tuple[oci.OciMount, ...]:
    mode = "rw" if spec.privileged else "ro"
    return (
        _mount("/proc", "proc", "proc", *_GUARDED),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/sys", "sysfs", "sysfs", *_GUARDED, mode),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", *_GUARDED, "relatime", mode),
        _mount("/dev/mqueue", "mqueue", "mqueue", *_GUARDED),
    )


def _shared_memory(spec: ContainerSpec, ipc: IpcMode, shm: str) -> tuple[oci.OciMount, ...]:
    if ipc == "none":
        return ()
    if shm:
        return (_bind(Mount(source=shm, target="/dev/shm")),)
    size = SHM_BYTES if spec.shm_bytes is None else spec.shm_bytes
    return (_mount("/dev/shm", "tmpfs", "shm", *_GUARDED, "mode=1777", f"size={size}"),)


def _bind(mount: Mount) -> oci.OciMount:
    access = "ro" if mount.readonly else "rw"
    return _mount(mount.target, "bind", mount.source, "rbind", "rprivate", access)


def _mount(destination: str, kind: str, source: str, *options: str) -> oci.OciMount:
    return oci.OciMount(destination=destination, type=kind, source=source, options=options)
