"""One container of a task definition: each setting checked, defaults filled in. What holds only on some kinds of
compute is in `task_definitions_compute`.

Source: ECS API, data type ContainerDefinition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from moorage.model.task_definition import (
    ContainerDefinition,
    KernelCapabilities,
    KeyValue,
    LogConfiguration,
    NetworkMode,
    Ulimit,
)
from moorage.rules.task_definitions_draft import ContainerDraft, InvalidDefinition, KeyValueDraft
from moorage.rules.task_definitions_linux import check_settings
from moorage.rules.task_definitions_order import check_restarts, check_timeouts, dependencies, health_check
from moorage.rules.task_definitions_ports import port_mappings, repeated

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""Families and containers."""
IMAGE_MAX_CHARS: Final = 255
MEMORY_MIN_MIB: Final = 4  # the least that Docker gives a container
CPU_MAX_UNITS: Final = 262_144  # the kernel's largest cpu.shares
HOSTNAME_MAX_CHARS: Final = 64  # HOST_NAME_MAX of Linux

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/#-]*(?:@sha256:[0-9a-f]{64})?")
_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_ACCOUNT_NAME = r"(?:[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,254}\$?)"
_USER = re.compile(rf"{_ACCOUNT_NAME}(?::{_ACCOUNT_NAME})?")
_UID_MAX = 2**32 - 2  # -1 means "leave as it is" to the kernel

ULIMITS: Final = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)
CAPABILITIES: Final = frozenset(
    [
        "ALL",
        "AUDIT_CONTROL",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "SYSLOG",
        "WAKE_ALARM",
    ]
)
LOG_DRIVERS: Final = frozenset(
    ("awslogs", "awsfirelens", "fluentd", "gelf", "journald", "json-file", "splunk", "syslog")
)
AWSLOGS_OPTIONS: Final = frozenset(
    ("awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group", "mode", "max-buffer-size")
)
_AWSLOGS_LATER = frozenset(("awslogs-datetime-format", "awslogs-multiline-pattern"))
_BUFFER_SIZE = re.compile(r"([0-9]{1,12})([kmg]?)b?", re.IGNORECASE)
_SCALES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
LOG_BUFFER_BYTES: Final = 64 << 20  # of each container, the file in which our agent keeps what is not sent yet


def container_definition(draft: ContainerDraft, mode: NetworkMode | None) -> ContainerDefinition:
    """The container that `draft` means, in a task of that network mode."""
    name = _name(draft.name)
    _check_limits(name, draft)
    check_timeouts(name, draft)
    check_restarts(name, draft.restart_policy)
    check_settings(name, draft, mode)
    _check_process(name, draft, mode)
    _check_ulimits(name, draft.ulimits or ())
    if draft.linux_parameters and draft.linux_parameters.capabilities:
        _check_capabilities(name, draft.linux_parameters.capabilities)
    if draft.log_configuration:
        _check_log(draft.log_configuration)
    return ContainerDefinition(
        name=name,
        image=_image(name, draft.image),
        cpu=draft.cpu or 0,
        memory=draft.memory,
        memory_reservation=draft.memory_reservation,
        essential=draft.essential is not False,
        port_mappings=port_mappings(name, draft.port_mappings or (), mode),
        entry_point=draft.entry_point,
        command=draft.command,
        environment=_environment(name, draft.environment or ()),
        mount_points=draft.mount_points or (),
        volumes_from=draft.volumes_from or (),
        system_controls=draft.system_controls or (),
        depends_on=dependencies(name, draft.depends_on),
        start_timeout=draft.start_timeout,
        stop_timeout=draft.stop_timeout,
        health_check=health_check(name, draft.health_check),
        restart_policy=draft.restart_policy,
        hostname=draft.hostname,
        user=draft.user,
        working_directory=draft.working_directory,
        privileged=draft.privileged,
        readonly_root_filesystem=draft.readonly_root_filesystem,
        ulimits=draft.ulimits,
        linux_parameters=draft.linux_parameters,
        docker_labels=draft.docker_labels,
        docker_security_options=draft.docker_security_options,
        interactive=draft.interactive,
        pseudo_terminal=draft.pseudo_terminal,
        disable_networking=draft.disable_networking,
        links=draft.links,
        dns_servers=draft.dns_servers,
        dns_search_domains=draft.dns_search_domains,
        extra_hosts=draft.extra_hosts,
        resource_requirements=draft.resource_requirements,
        log_configuration=draft.log_configuration,
    )


def _name(name: str | None) -> str:
    if not name:
        raise InvalidDefinition("Container.name should not be null or empty.")
    if not NAME.fullmatch(name):
        raise InvalidDefinition(
            f"Invalid container name '{name}'. Up to 255 letters, digits, underscores and hyphens are allowed."
        )
    return name


def _image(name: str, image: str | None) -> str:
    if not image:
        raise InvalidDefinition("Container.image should not be null or empty.")
    if len(image) > IMAGE_MAX_CHARS or not _IMAGE.fullmatch(image):
        raise InvalidDefinition.of(
            name,
            f"The image must be repository:tag or repository@sha256:digest, at most {IMAGE_MAX_CHARS} characters.",
        )
    return image


def _check_limits(name: str, draft: ContainerDraft) -> None:
    if draft.cpu is not None and not 0 <= draft.cpu <= CPU_MAX_UNITS:
        raise InvalidDefinition.of(name, f"'cpu' must be between 0 and {CPU_MAX_UNITS} units.")
    for what, amount in (("memory", draft.memory), ("memoryReservation", draft.memory_reservation)):
        if amount is not None and amount < MEMORY_MIN_MIB:
            raise InvalidDefinition.of(name, f"'{what}' must be at least {MEMORY_MIN_MIB} MiB.")
    if draft.memory and draft.memory_reservation and draft.memory_reservation > draft.memory:
        raise InvalidDefinition.of(name, "'memory' must not be less than 'memoryReservation'.")


def _check_process(name: str, draft: ContainerDraft, mode: NetworkMode | None) -> None:
    if draft.user and not _user_is_valid(draft.user):
        raise InvalidDefinition.of(
            name, "'user' must be user, user:group, uid, uid:gid, user:gid or uid:group, with ids below 4294967295."
        )
    if not draft.hostname:
        return
    if mode == "awsvpc":
        raise InvalidDefinition("Hostname is not supported on container when networkMode=awsvpc.")
    if len(draft.hostname) > HOSTNAME_MAX_CHARS or not _HOSTNAME.fullmatch(draft.hostname):
        raise InvalidDefinition.of(
            name, f"'hostname' must be a host name of at most {HOSTNAME_MAX_CHARS} characters."
        )


def _user_is_valid(user: str) -> bool:
    return _USER.fullmatch(user) is not None and all(
        int(part) <= _UID_MAX for part in user.split(":") if part.isdigit()
    )


def _environment(name: str, drafts: Iterable[KeyValueDraft]) -> tuple[KeyValue, ...]:
    for draft in drafts:
        if not draft.name or "=" in draft.name:
            raise InvalidDefinition.of(name, "An environment variable's name must not be empty nor contain '='.")
    return tuple(KeyValue(name=draft.name or "", value=draft.value or "") for draft in drafts)


def _check_ulimits(name: str, ulimits: tuple[Ulimit, ...]) -> None:
    for ulimit in ulimits:
        if ulimit.name not in ULIMITS:
            raise InvalidDefinition.of(name, f"Unknown ulimit '{ulimit.name}'.")
        unlimited = ulimit.hard_limit == -1
        if min(ulimit.soft_limit, ulimit.hard_limit) < -1:
            raise InvalidDefinition.of(name, f"The ulimit '{ulimit.name}' must not be less than -1 (unlimited).")
        if not unlimited and (ulimit.soft_limit == -1 or ulimit.soft_limit > ulimit.hard_limit):
            raise InvalidDefinition.of(name, f"The ulimit '{ulimit.name}' has a soft limit above its hard limit.")
    twice = repeated(ulimit.name for ulimit in ulimits)
    if twice is not None:
        raise InvalidDefinition.of(name, f"The ulimit '{twice}' is set more than once.")


def _check_capabilities(name: str, capabilities: KernelCapabilities) -> None:
    for capability in (*(capabilities.add or ()), *(capabilities.drop or ())):
        if capability not in CAPABILITIES:
            raise InvalidDefinition.of(name, f"Unknown Linux capability '{capability}'.")


def _check_log(log: LogConfiguration) -> None:
    if log.log_driver not in LOG_DRIVERS:
        raise InvalidDefinition(f"Unknown log driver '{log.log_driver}'.")
    if log.log_driver == "awsfirelens":  # a router container is declared by firelensConfiguration, which is to come
        raise InvalidDefinition("Log driver awsfirelens requires a container with a firelensConfiguration.")
    if log.log_driver == "awslogs":
        _check_awslogs(log.options or {})


def _check_awslogs(options: dict[str, str]) -> None:
    missing = [option for option in ("awslogs-region", "awslogs-group") if not options.get(option)]
    if missing:
        raise InvalidDefinition(f"Log driver awslogs requires options: {', '.join(missing)}")
    later = sorted(_AWSLOGS_LATER & options.keys())
    if later:
        raise InvalidDefinition(f"Log driver awslogs does not support options yet: {', '.join(later)}")
    unknown = sorted(options.keys() - AWSLOGS_OPTIONS)
    if unknown:
        raise InvalidDefinition(f"Log driver awslogs disallows options: {', '.join(unknown)}")
    for option, allowed in (("awslogs-create-group", ("true", "false")), ("mode", ("blocking", "non-blocking"))):
        if option in options and options[option] not in allowed:
            raise InvalidDefinition(f"Log driver awslogs requires option {option} to be {' or '.join(allowed)}")
    if options.get("mode") == "blocking":
        raise InvalidDefinition(
            "Log driver awslogs does not support mode blocking: a container is never made to wait for its log."
        )
    if "max-buffer-size" in options:
        _check_buffer(options["max-buffer-size"])


def _check_buffer(text: str) -> None:
    """What a caller asks for is the least that he gets, since every container has the largest."""
    size = _BUFFER_SIZE.fullmatch(text)
    if size is None:
        raise InvalidDefinition("Log driver awslogs requires option max-buffer-size to be a size such as 10m")
    if int(size[1]) * _SCALES[size[2].lower()] > LOG_BUFFER_BYTES:
        raise InvalidDefinition(
            f"Log driver awslogs requires option max-buffer-size to be at most {LOG_BUFFER_BYTES >> 20}m"
        )
