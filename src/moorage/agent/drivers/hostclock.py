"""How far the host's clock may be off: what the kernel was told by whoever keeps it (NTP, chrony)."""

from __future__ import annotations

import ctypes
import os
import time

from moorage.agent.usage import HostClock

_STA_UNSYNC = 0x0040
_US_PER_MS = 1000


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, as far as it is read; the rest is room for the kernel to write in."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def read() -> HostClock:
    """The kernel's own account. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()  # modes 0: nothing is set
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "adjtimex")
    synchronized = not timex.status & _STA_UNSYNC
    return HostClock(
        at_s=time.time(),
        error_bound_ms=timex.maxerror / _US_PER_MS if synchronized else None,
        synchronized=synchronized,
    )
