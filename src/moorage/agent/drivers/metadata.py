"""The container metadata file: in a directory of its own, so that it can be replaced as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from moorage.agent.drivers.namespaces import write_file
from moorage.agent.spec import METADATA_FILE, ContainerSpec, Mount

_DIRECTORY: Final = "metadata"


def shown(home: Path, spec: ContainerSpec) -> tuple[Mount, ...]:
    """The directory with the file's first text, where the container is to have one; `home` is the container's own."""
    if not spec.metadata_directory:
        return ()
    directory = home / _DIRECTORY
    directory.mkdir(mode=0o755, exist_ok=True)
    write_file(directory / METADATA_FILE, spec.metadata.encode(), 0o644)
    return (Mount(source=str(directory), target=spec.metadata_directory, readonly=True),)


def replace(home: Path, text: str) -> None:
    """What is known now; nothing where the container has no such file (any more)."""
    directory = home / _DIRECTORY
    if directory.is_dir():
        write_file(directory / METADATA_FILE, text.encode(), 0o644)
