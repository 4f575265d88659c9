"""Linux capabilities: Docker's default set, what a task adds and drops, and what this host has to give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moorage.agent.spec import ContainerSpec, DriverError

_DEFAULT = (
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP "
    "SETUID SYS_CHROOT"
)
# In the order of their numbers.
_ALL = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)


def of_host() -> frozenset[str]:
    """Those that this process can hand on: all of them on a host, fewer in a container or a restricted unit."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(_ALL.split()) if bits >> number & 1)
    return frozenset(_ALL.split())


def has_apparmor() -> bool:
    """Whether this host's kernel enforces AppArmor profiles."""
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        return False


def granted(spec: ContainerSpec, available: frozenset[str]) -> tuple[str, ...]:
    """The container's, sorted; "all" means all that the host has."""
    if spec.privileged:
        wanted = set(available)
    else:
        dropped, added = _names(spec.capabilities_drop), _names(spec.capabilities_add)
        wanted = set() if "ALL" in dropped else set(_DEFAULT.split()) - dropped
        wanted |= (available - dropped) if "ALL" in added else added
    unknown = wanted - set(_ALL.split())
    if unknown:
        raise DriverError("CannotCreateContainerError", f"unknown capability {', '.join(sorted(unknown))}")
    return tuple(f"CAP_{name}" for name in sorted(wanted))


def _names(given: Sequence[str]) -> set[str]:
    return {name.upper().removeprefix("CAP_") for name in given}
