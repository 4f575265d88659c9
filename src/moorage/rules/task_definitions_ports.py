"""Port mappings: what may be mapped in which network mode.

Source: ECS API, data type PortMapping.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Final, TypeVar

from moorage.model.task_definition import AppProtocol, ContainerDefinition, NetworkMode, PortMapping, Protocol
from moorage.rules.task_definitions_draft import InvalidDefinition, PortMappingDraft

T = TypeVar("T", bound=Hashable)

PORT_MAX: Final = 65_535
# What every host keeps: SSH, Docker's two ports, and the agent's introspection, credentials and TLS.
RESERVED_PORTS: Final = frozenset((22, 2375, 2376, 51678, 51679, 51680))
# ECS keeps at most this many static ports on one instance, so a task with more fits on none.
STATIC_PORTS_MAX: Final = 100

_PROTOCOLS: Final[dict[str, Protocol]] = {"tcp": "tcp", "udp": "udp"}
_APP_PROTOCOLS: Final[dict[str, AppProtocol]] = {"http": "http", "http2": "http2", "grpc": "grpc"}
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")


def port_mappings(
    container: str, drafts: Iterable[PortMappingDraft], mode: NetworkMode | None
) -> tuple[PortMapping, ...]:
    """The mappings of one container with defaults filled in; `mode` None is bridge."""
    mappings = tuple(_mapping(container, draft, mode) for draft in drafts)
    if mappings and mode == "none":
        raise InvalidDefinition.of(container, "Port mappings are not supported when networkMode=none.")
    port = repeated(mapping.container_port for mapping in mappings)
    if port is not None:  # not even for two protocols: ECS knows a mapping by its port alone
        raise InvalidDefinition.of(container, f"The container port {port} is mapped more than once.")
    return mappings


def _mapping(container: str, draft: PortMappingDraft, mode: NetworkMode | None) -> PortMapping:
    port = draft.container_port
    if port is None or not 1 <= port <= PORT_MAX:
        raise InvalidDefinition.of(container, f"A container port must be between 1 and {PORT_MAX}.")
    protocol = _PROTOCOLS.get(draft.protocol or "tcp")
    if protocol is None:
        raise InvalidDefinition.of(container, f"Unknown port mapping protocol '{draft.protocol}'; use tcp or udp.")
    return PortMapping(
        container_port=port,
        host_port=_host_port(container, draft, port, mode),
        protocol=protocol,
        name=_name(container, draft.name),
        app_protocol=_app_protocol(container, draft),
    )


def _host_port(container: str, draft: PortMappingDraft, port: int, mode: NetworkMode | None) -> int:
    asked = draft.host_port or 0
    if not 0 <= asked <= PORT_MAX:
        raise InvalidDefinition.of(container, f"A host port must be between 0 and {PORT_MAX}.")
    if mode in ("awsvpc", "host"):
        if asked not in (0, port):
            raise InvalidDefinition(
                f"When networkMode={mode}, the host ports and container ports in port mappings must match."
            )
        asked = port
    if asked in RESERVED_PORTS and mode != "awsvpc":
        raise InvalidDefinition.of(container, f"The host port {asked} is reserved by the container instance.")
    return asked


def _name(container: str, name: str | None) -> str | None:
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidDefinition.of(
            container,
            "A port mapping's name has 1 to 64 lowercase letters, digits, underscores and hyphens, "
            "and does not begin with a hyphen.",
        )
    return name


def _app_protocol(container: str, draft: PortMappingDraft) -> AppProtocol | None:
    if not draft.app_protocol:
        return None
    known = _APP_PROTOCOLS.get(draft.app_protocol)
    if known is None:
        raise InvalidDefinition.of(container, f"Unknown appProtocol '{draft.app_protocol}'; use http, http2 or grpc.")
    if draft.name is None:
        raise InvalidDefinition.of(container, "A port mapping with an appProtocol needs a name.")
    return known


def check_across_containers(containers: tuple[ContainerDefinition, ...]) -> None:
    """Host ports and port names are the task's, not one container's."""
    mappings = [mapping for container in containers for mapping in container.port_mappings]
    name = repeated(mapping.name for mapping in mappings if mapping.name)
    if name is not None:
        raise InvalidDefinition(f"The port mapping name '{name}' is used more than once in the task definition.")
    static = [(mapping.host_port, mapping.protocol) for mapping in mappings if mapping.host_port]
    if len(static) > STATIC_PORTS_MAX:
        raise InvalidDefinition(f"A task definition can map at most {STATIC_PORTS_MAX} static host ports.")
    twice = repeated(static)
    if twice is not None:
        raise InvalidDefinition(f"The host port {twice[0]}/{twice[1]} is mapped by more than one container.")


def repeated(values: Iterable[T]) -> T | None:
    """The first value that comes a second time."""
    seen: set[T] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
