"""Signals by number or by name, as images and task definitions write them."""

from __future__ import annotations

import signal
from typing import Final

from moorage.agent.spec import DriverError

SIGNALS_MAX: Final = 64  # of Linux


def number_of(text: str | int) -> int:
    """15, "15", "TERM", "SIGTERM" and "SIGRTMIN+3" are all understood; "" is SIGTERM."""
    if isinstance(text, int) or text.isdecimal():
        number = int(text)
    else:
        number = _named(text.strip().upper()) if text else signal.SIGTERM
    if not 1 <= number <= SIGNALS_MAX:
        raise DriverError("CannotStopContainerError", f"{text!r} is not a signal")
    return number


def _named(name: str) -> int:
    name = name if name.startswith("SIG") else f"SIG{name}"
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    try:
        number = int(signal.Signals[base])
        return number + int(f"{sign}{offset}") if sign else number
    except (KeyError, ValueError):
        return 0
