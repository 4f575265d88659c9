"""Removes the control groups that peers leave behind."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")


def remove_group(name: str) -> None:
    """The group and all below it, in every hierarchy; it must have no process left."""
    for top in (_ROOT / name, *_ROOT.glob(f"*/{name}")):
        if top.is_dir():
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()
            with contextlib.suppress(OSError):
                top.rmdir()
