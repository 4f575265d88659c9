"""What a container's kernel and name service are told: each setting checked.

Source: ECS API, data types LinuxParameters, SystemControl, HostEntry, ResourceRequirement and ContainerDefinition.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from moorage.model.task_definition import (
    ContainerDefinition,
    Definition,
    HostEntry,
    LinuxParameters,
    NetworkMode,
    SystemControl,
    Tmpfs,
)
from moorage.rules.task_definitions_draft import ContainerDraft, InvalidDefinition
from moorage.rules.task_definitions_ports import repeated
from moorage.rules.task_definitions_volumes import is_path

SWAPPINESS: Final = range(100 + 1)
DNS_SERVERS_MAX: Final = 3  # resolv.conf's own bound; a fourth would be ignored by the C library
NAME_MAX_CHARS: Final = 253  # of a domain name

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LINK = re.compile(r"[A-Za-z0-9_-]{1,255}(?::[A-Za-z0-9_-]{1,255})?")
# Kernel parameters that a namespace of the container's own holds.
_NETWORK_CONTROL = re.compile(r"net\.[A-Za-z0-9_./-]+")
_IPC_CONTROL = re.compile(r"kernel\.(?:msg|shm)[a-z_]+|kernel\.sem|fs\.mqueue\.[a-z_]+")
# Of the API's options, those that mean something to a tmpfs: it is no bind mount, and nothing is propagated from it.
_TMPFS_WORD = re.compile(
    "defaults|r[ow]|(?:no)?(?:suid|dev|exec|mand|atime|diratime|relatime|strictatime)|sync|async|dirsync"
)
_TMPFS_VALUES = re.compile(r"(?:mode|uid|gid|nr_inodes|nr_blocks|mpol)=[A-Za-z0-9:=-]+")


def check_settings(name: str, draft: ContainerDraft, mode: NetworkMode | None) -> None:
    """All that can be said of one container without knowing the others. Raises `InvalidDefinition`."""
    if draft.linux_parameters:
        _check_linux(name, draft.linux_parameters, draft.memory)
    _check_controls(name, draft.system_controls or (), mode)
    _check_security(name, draft.docker_security_options or ())
    _check_names(name, draft, mode)
    if draft.disable_networking and (draft.port_mappings or draft.links or mode in ("awsvpc", "host")):
        raise InvalidDefinition.of(name, "A container whose network is disabled has no ports, no links and no mode.")
    for requirement in draft.resource_requirements or ():
        if requirement.type != "GPU":
            raise InvalidDefinition.of(name, f"The resource type {requirement.type} is not supported by Moorage yet.")
        if not re.fullmatch("[1-9][0-9]{0,3}", requirement.value):
            raise InvalidDefinition.of(name, "The value of a GPU requirement must be a number of GPUs.")


def _check_linux(name: str, linux: LinuxParameters, memory: int | None) -> None:
    if linux.shared_memory_size is not None and linux.shared_memory_size < 1:
        raise InvalidDefinition.of(name, "'sharedMemorySize' must be at least 1 MiB.")
    if linux.max_swap is not None and linux.max_swap < 0:
        raise InvalidDefinition.of(name, "'maxSwap' must not be negative.")
    if linux.max_swap is not None and memory is None:
        raise InvalidDefinition.of(name, "'maxSwap' needs 'memory': the kernel limits both together.")
    if linux.swappiness is not None and linux.swappiness not in SWAPPINESS:
        raise InvalidDefinition.of(name, "'swappiness' must be between 0 and 100.")
    for device in linux.devices or ():
        if not is_path(device.host_path) or not is_path(device.container_path or "/"):
            raise InvalidDefinition.of(name, "The paths of a device must be absolute.")
    for tmpfs in linux.tmpfs or ():
        _check_tmpfs(name, tmpfs)


def _check_tmpfs(name: str, tmpfs: Tmpfs) -> None:
    if not is_path(tmpfs.container_path) or not tmpfs.container_path.strip("/"):
        raise InvalidDefinition.of(name, "The containerPath of a tmpfs must be an absolute path below /.")
    if tmpfs.size < 1:
        raise InvalidDefinition.of(name, "The size of a tmpfs must be at least 1 MiB.")
    for option in tmpfs.mount_options or ():
        if not _TMPFS_WORD.fullmatch(option) and not _TMPFS_VALUES.fullmatch(option):
            raise InvalidDefinition.of(name, f"The mount option '{option}' cannot be given to a tmpfs.")


def _check_controls(name: str, controls: Sequence[SystemControl], mode: NetworkMode | None) -> None:
    for control in controls:
        if not control.value or not (_is_network(control) or _is_ipc(control)):
            raise InvalidDefinition.of(
                name, f"The system control '{control.namespace}' is not a namespaced kernel parameter with a value."
            )
        if mode == "host" and _is_network(control):
            raise InvalidDefinition.of(
                name, f"The system control '{control.namespace}' is not supported when networkMode=host."
            )
    twice = repeated(control.namespace for control in controls)
    if twice is not None:
        raise InvalidDefinition.of(name, f"The system control '{twice}' is set more than once.")


def _is_network(control: SystemControl) -> bool:
    return _NETWORK_CONTROL.fullmatch(control.namespace) is not None and ".." not in control.namespace


def _is_ipc(control: SystemControl) -> bool:
    return _IPC_CONTROL.fullmatch(control.namespace) is not None


def _check_security(name: str, options: Iterable[str]) -> None:
    for option in options:
        kind, _, value = option.partition(":")
        if option != "no-new-privileges" and not (kind in ("apparmor", "label") and value):
            raise InvalidDefinition.of(
                name, f"The security option '{option}' is not no-new-privileges, apparmor:PROFILE or label:VALUE."
            )


def _check_names(name: str, draft: ContainerDraft, mode: NetworkMode | None) -> None:
    if draft.links and mode not in (None, "bridge"):
        raise InvalidDefinition.of(name, "Links are supported only when networkMode=bridge.")
    for link in draft.links or ():
        if not _LINK.fullmatch(link):
            raise InvalidDefinition.of(name, f"The link '{link}' must be a container's name, or name:alias.")
    if draft.extra_hosts and mode == "awsvpc":
        raise InvalidDefinition("Extra hosts are not supported on container when networkMode=awsvpc.")
    for entry in draft.extra_hosts or ():
        _check_entry(name, entry, mode)
    if len(draft.dns_servers or ()) > DNS_SERVERS_MAX:
        raise InvalidDefinition.of(name, f"At most {DNS_SERVERS_MAX} DNS servers can be given.")
    for server in draft.dns_servers or ():
        if not _is_address(server):
            raise InvalidDefinition.of(name, f"The DNS server '{server}' is no IP address.")
    for domain in draft.dns_search_domains or ():
        if domain != "." and not _is_name(domain):
            raise InvalidDefinition.of(name, f"The DNS search domain '{domain}' is no domain name.")


def _check_entry(name: str, entry: HostEntry, mode: NetworkMode | None) -> None:
    if not _is_name(entry.hostname):
        raise InvalidDefinition.of(name, f"The extra host '{entry.hostname}' is no host name.")
    # Docker's own word for the host, as bridge tasks see it.
    if not _is_address(entry.ip_address) and not (entry.ip_address == "host-gateway" and mode in (None, "bridge")):
        raise InvalidDefinition.of(name, f"The extra host '{entry.hostname}' has no IP address.")


def _is_name(text: str) -> bool:
    return len(text) <= NAME_MAX_CHARS and _NAME.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def check_namespaces(definition: Definition) -> None:
    """What the task shares, against what its containers set; and links, which name containers of the task."""
    names = {container.name for container in definition.containers}
    for container in definition.containers:
        _check_links(container, names)
        linux = container.linux_parameters
        if definition.ipc_mode == "host" and any(map(_is_ipc, container.system_controls)):
            raise InvalidDefinition.of(
                container.name, "System controls of the IPC namespace are not supported when ipcMode=host."
            )
        if definition.ipc_mode in ("host", "none") and linux and linux.shared_memory_size is not None:
            raise InvalidDefinition.of(
                container.name, f"A container has no shared memory of its own when ipcMode={definition.ipc_mode}."
            )


def _check_links(container: ContainerDefinition, names: set[str]) -> None:
    for link in container.links or ():
        linked = link.partition(":")[0]
        if linked not in names or linked == container.name:
            raise InvalidDefinition.of(
                container.name, f"A link must name another container of the task, not '{linked}'."
            )
