"""The parts of an open node, handed together to the lives of sandboxes and containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage.agent.drivers.cgroups import Cgroups
from moorage.agent.drivers.claims import Claims
from moorage.agent.drivers.endpoint import Inside
from moorage.agent.drivers.firewall import Firewall
from moorage.agent.drivers.namespaces import Crew, Keep
from moorage.agent.drivers.network import Network
from moorage.agent.drivers.records import Records
from moorage.agent.drivers.runtime import Runtime
from moorage.agent.drivers.storage import Storage
from moorage.agent.drivers.volumes import Volumes
from moorage.agent.spec import Isolation


@dataclass(frozen=True, kw_only=True)
class Parts:
    records: Records
    cgroups: Cgroups
    claims: Claims
    crew: Crew
    keep: Keep
    links: Network
    firewall: Firewall
    volumes: Volumes
    storage: Storage
    inside: Inside
    runtimes: Mapping[Isolation, Runtime]
    exits: Path  # the directory of exit files
    stage: Path  # seen in the launch namespace only
    base: Path  # the layer of mount points
