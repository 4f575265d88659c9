"""What Fargate takes: the sizes of its table, and what a definition may not ask of hosts that it never sees.

Source: Developer Guide, "Fargate task definition considerations".
"""

from __future__ import annotations

from typing import Final

SIZES: Final[dict[int, frozenset[int]]] = {
    256: frozenset((512, 1024, 2048)),
    512: frozenset(range(1024, 4096 + 1, 1024)),
    1024: frozenset(range(2048, 8192 + 1, 1024)),
    2048: frozenset(range(4096, 16384 + 1, 1024)),
    4096: frozenset(range(8192, 30720 + 1, 1024)),
    8192: frozenset(range(16384, 61440 + 1, 4096)),
    16384: frozenset(range(32768, 122880 + 1, 8192)),
}
"""Cpu units to the MiB that go with them."""

# Windows needs a whole vCPU to boot in, and AWS sells it no more than four.
WINDOWS_CPU: Final = frozenset((1024, 2048, 4096))


def size_is_valid(cpu: int, memory: int, *, windows: bool = False) -> bool:
    """Whether Fargate has a task of `cpu` units and `memory` MiB."""
    if windows and cpu not in WINDOWS_CPU:
        return False
    return memory in SIZES.get(cpu, frozenset())
