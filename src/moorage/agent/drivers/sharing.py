"""The volumes of one container: its own mount points, what it has from others, what its image declares."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.drivers import rootfs
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import Borrowable, SandboxRecord
from moorage.agent.drivers.volumes import Source
from moorage.agent.spec import ContainerId, ContainerSpec, DriverError, Mount, RootImage

_KIND: Final = "CannotCreateContainerError"


def borrowable(
    parts: Parts, spec: ContainerSpec, image: RootImage, sandbox: SandboxRecord
) -> tuple[tuple[Borrowable, ...], tuple[tuple[str, Source], ...]]:
    """All volumes of the container, and which of them (by target) are to be filled from its image.

    Where several mean one place, the container's own mount point wins over what it has from others, and both over
    what its image declares.
    """
    found: dict[str, Borrowable] = {}
    fill: dict[str, Source] = {}
    for target in _declared(spec, image):
        source = parts.volumes.of_image(sandbox, spec.id, target)
        found[target], fill[target] = _borrowable(source, target, readonly=False), source
    for lender in spec.volumes_from:
        for each in _volumes_of(parts, lender.container):
            target = each.mount.target
            mount = msgspec.structs.replace(each.mount, readonly=each.mount.readonly or lender.readonly)
            found[target] = msgspec.structs.replace(each, mount=mount)
            fill.pop(target, None)
    for point in spec.mount_points:
        source = parts.volumes.source(sandbox, point.volume)
        target = os.path.normpath(point.target)
        found[target], fill[target] = _borrowable(source, target, readonly=point.readonly), source
    return tuple(found.values()), tuple(fill.items())


def _borrowable(source: Source, target: str, *, readonly: bool) -> Borrowable:
    mount = Mount(source=str(source.path), target=target, readonly=readonly)
    return Borrowable(mount=mount, owned_by_ids=source.owned_by_ids)


def _declared(spec: ContainerSpec, image: RootImage) -> tuple[str, ...]:
    """The image's volumes, where it makes a difference that they are none of its root filesystem."""
    if not (spec.lends_volumes or spec.readonly_root):
        return ()
    return tuple(path for path in map(os.path.normpath, image.volumes) if path.startswith("/") and path != "/")


def _volumes_of(parts: Parts, container: ContainerId) -> tuple[Borrowable, ...]:
    record = parts.records.container(container)
    if record is None:
        raise DriverError(_KIND, f"the container {container}, whose volumes are asked for, was not started")
    return record.volumes


def fill(parts: Parts, root: int, volumes: tuple[tuple[str, Source], ...]) -> None:
    """Give volumes that are empty what the image has at their places; `root` is the open root filesystem."""
    for target, source in volumes:
        parts.volumes.fill(source, root, target)


def seen_by(
    volumes: tuple[Borrowable, ...],
    staged: Path,
    user: rootfs.UserNamespace | None,
    cleanup: contextlib.ExitStack,
) -> tuple[Mount, ...]:
    """The mounts as the runtime is to make them; files whose owners are ids inside are seen through the mapping."""
    found = []
    for number, each in enumerate(volumes):
        mount = each.mount
        if each.owned_by_ids and user is not None:
            place = staged / f"volume-{number}"
            cleanup.enter_context(rootfs.mapped(mount.source, user.fd, place))
            mount = msgspec.structs.replace(mount, source=str(place))
        found.append(mount)
    return tuple(found)
