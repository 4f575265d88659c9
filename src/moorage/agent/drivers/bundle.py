"""The OCI bundle of a container: everything its runtime is told, decided here without touching anything.

Where a task definition says nothing, a container gets what Docker gives it: that is what images are built for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.agent.drivers import mounts, oci, seccomp
from moorage.agent.drivers.accounts import Account
from moorage.agent.drivers.cgroups import CPU_PERIOD_US
from moorage.agent.drivers.devices import Granted
from moorage.agent.drivers.namespaces import ID_RANGE
from moorage.agent.spec import ContainerSpec, DriverError, RootImage

OCI_VERSION: Final = "1.0.2"  # the newest that every supported runtime accepts
DEFAULT_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OPEN_FILES: Final = 65_535  # Fargate's own default; a bound, so that no container takes all of the host's open files

_MASKED: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# null, zero, full, random, urandom, tty, console, ptmx and the pseudo-terminals; making (not using) any node is free
_DEVICES: Final = (
    (1, 3),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (5, 0),
    (5, 1),
    (5, 2),
    (136, None),
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container will live: what its sandbox and its image's files decided."""

    root: str
    account: Account
    cgroup: str
    capabilities: tuple[str, ...]
    namespaces: tuple[oci.Namespace, ...] = ()
    first_id: int = 0
    hostname: str = ""
    mounts: tuple[oci.OciMount, ...] = ()
    devices: tuple[Granted, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    open_files_max: int = OPEN_FILES  # what this host's limits leave of it


def arguments(spec: ContainerSpec, image: RootImage) -> tuple[str, ...]:
    """As Docker combines them: an overridden entry point also discards the image's command."""
    if spec.entry_point:
        args = spec.entry_point + (spec.command or ())
    else:
        args = image.entry_point + (image.command if spec.command is None else spec.command)
    if not args:
        raise DriverError("CannotCreateContainerError", "no command specified, by the task or by the image")
    return ((mounts.INIT_PATH, "--") if spec.init else ()) + args


def environment(spec: ContainerSpec, image: RootImage, place: Place) -> tuple[str, ...]:
    """The image's variables under the task's; the last of a name wins and stands where the first stood."""
    values = dict(entry.partition("=")[::2] for entry in (DEFAULT_PATH, f"HOSTNAME={place.hostname}"))
    values["HOME"] = place.account.home
    values.update(entry.partition("=")[::2] for entry in image.environment)
    values.update(spec.environment)
    if not any(name in values for name, _ in spec.default_environment):
        values.update(spec.default_environment)
    return tuple(f"{name}={value}" for name, value in values.items())


def write(spec: ContainerSpec, image: RootImage, place: Place) -> bytes:
    """The bundle's config.json."""
    granted, annotations = place.capabilities, dict(place.annotations)
    process = oci.Process(
        args=arguments(spec, image),
        cwd=spec.working_directory or image.working_directory or "/",
        user=oci.User(uid=place.account.uid, gid=place.account.gid, additional_gids=place.account.groups),
        capabilities=oci.Capabilities(bounding=granted, effective=granted, permitted=granted),
        env=environment(spec, image, place),
        rlimits=_rlimits(spec, place.open_files_max),
        terminal=spec.terminal,
        no_new_privileges=spec.no_new_privileges,
        apparmor_profile=spec.apparmor_profile,
    )
    mapping = (oci.IdMapping(container_id=0, host_id=place.first_id, size=ID_RANGE),) if place.first_id else ()
    linux = oci.Linux(
        namespaces=place.namespaces,
        cgroups_path=place.cgroup,
        resources=_resources(spec, place.devices),
        uid_mappings=mapping,
        gid_mappings=mapping,
        masked_paths=() if spec.privileged else _MASKED,
        readonly_paths=() if spec.privileged else _READONLY,
        seccomp=None if spec.privileged or annotations.keys() & seccomp.ANNOTATIONS else seccomp.profile(granted),
        devices=tuple(device.node for device in place.devices),
        sysctl=dict(spec.sysctls),
    )
    bundle = oci.Bundle(
        oci_version=OCI_VERSION,
        process=process,
        root=oci.Root(path=place.root, readonly=spec.readonly_root),
        linux=linux,
        hostname=place.hostname,
        mounts=place.mounts,
        annotations=annotations,
    )
    return msgspec.json.encode(bundle)


def _rlimits(spec: ContainerSpec, open_files: int) -> tuple[oci.Rlimit, ...]:
    limits = {"nofile": (open_files, open_files)}
    limits.update((each.name, (each.soft, each.hard)) for each in spec.ulimits)
    unlimited = (1 << 64) - 1  # a task definition writes -1
    return tuple(
        oci.Rlimit(
            type=f"RLIMIT_{name.upper()}",
            soft=unlimited if soft < 0 else soft,
            hard=unlimited if hard < 0 else hard,
        )
        for name, (soft, hard) in limits.items()
    )


def _resources(spec: ContainerSpec, devices: tuple[Granted, ...]) -> oci.Resources:
    return oci.Resources(
        devices=(oci.DeviceRule(allow=False, access="rwm"), *_device_rules(spec, devices)),
        cpu=oci.Cpu(shares=max(2, spec.cpu_shares), period=CPU_PERIOD_US),
        memory=_memory(spec),
    )


def _memory(spec: ContainerSpec) -> oci.Memory | None:
    limit = spec.memory_max_bytes or 0
    swap = 0 if spec.swap_max_bytes is None else limit + spec.swap_max_bytes
    memory = oci.Memory(
        limit=limit, reservation=spec.memory_reservation_bytes or 0, swap=swap, swappiness=spec.swappiness
    )
    return None if memory == oci.Memory() else memory


def device_rules(spec: ContainerSpec, devices: tuple[Granted, ...]) -> tuple[str, ...]:
    """What is allowed once everything is denied, as the v1 controller reads it."""
    return tuple(
        f"{rule.type or 'a'} {_number(rule.major)}:{_number(rule.minor)} {rule.access}"
        for rule in _device_rules(spec, devices)
    )


def _number(value: int | None) -> str:
    return "*" if value is None else str(value)


def _device_rules(spec: ContainerSpec, devices: tuple[Granted, ...]) -> tuple[oci.DeviceRule, ...]:
    if spec.privileged:
        return (oci.DeviceRule(allow=True, access="rwm"),)
    usual = tuple(oci.DeviceRule(allow=True, type=kind, access="m") for kind in ("c", "b")) + tuple(
        oci.DeviceRule(allow=True, type="c", major=major, minor=minor, access="rwm") for major, minor in _DEVICES
    )
    return usual + tuple(device.rule for device in devices)
