"""Sizes as callers write them: `256`, `.25 vCPU`, `512`, `0.5GB`; inside, cpu is in units and memory in MiB.

Source: Developer Guide, "Task definition parameters", task size. RunTask's overrides use the same forms.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

UNITS_PER_VCPU: Final = 1024
MIB_PER_GB: Final = 1024

# Nine digits hold every size there is (a tebibyte is 1,048,576 MiB) and keep a number of a million digits out.
_WHOLE = re.compile(r"[0-9]{1,9}")
_VCPU = re.compile(r"([0-9]{0,9}(?:\.[0-9]{1,9})?) ?vcpu", re.IGNORECASE)
_GB = re.compile(r"([0-9]{0,9}(?:\.[0-9]{1,9})?) ?gb", re.IGNORECASE)


def cpu_units(text: str) -> int | None:
    """The cpu units that `text` means; None where it means none."""
    return _size(text, _VCPU, UNITS_PER_VCPU)


def memory_mib(text: str) -> int | None:
    """The MiB that `text` means; None where it means none."""
    return _size(text, _GB, MIB_PER_GB)


def _size(text: str, scaled: re.Pattern[str], scale: int) -> int | None:
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    found = scaled.fullmatch(text)
    if found is None or not found[1]:
        return None
    size = Fraction(found[1] if found[1][0] != "." else "0" + found[1]) * scale
    return int(size) if size.denominator == 1 else None
