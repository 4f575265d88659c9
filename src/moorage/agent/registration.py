"""Becoming known: what this host is and can do, told to the control plane until it has heard."""

from __future__ import annotations

import asyncio
import logging
import platform
from pathlib import Path
from typing import Final

import msgspec

from moorage.agent.api import ApiRefused, Attribute, EcsApi
from moorage.agent.state import Registration, load_registration, save_registration
from moorage.base.dice import Dice, uuid
from moorage.base.errors import Unavailable
from moorage.model.container_instance import Resources
from moorage.model.exec_session import EXEC_ATTRIBUTE

log = logging.getLogger(__name__)

RETRY_MIN_S: Final = 0.1  # agent and server are started together: the server is there within a moment
RETRY_MAX_S: Final = 5.0
DEFAULT_CLUSTER: Final = "default"
# Of the published agent: ssh, Docker's two, and its own endpoints, which our own will take as well.
RESERVED_PORTS: Final = (22, 2375, 2376, 51678, 51679)
# Task definitions ask for Docker API versions as the names of abilities (1.18: log drivers, labels, ulimits; 1.19:
# awslogs; 1.21: memory reservation; 1.25: init; 1.29: the start period of a health check).
_DOCKER_API: Final = (*range(17, 26), 29)

_AGENT: Final = "com.amazonaws.ecs.capability."
_NEWER: Final = "ecs.capability."


class NodeIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent registers as."""

    cluster: str
    region: str
    fleet: bool
    zone: str | None  # None: any; only of a fleet host
    isolation: str  # of the fleet's tasks
    total: Resources
    file_systems: tuple[str, ...] = ()  # ids of those that have a place here
    ephemeral_storage: bool = False  # file systems of a task's own can be made
    apparmor: bool = False


def attributes(identity: NodeIdentity) -> tuple[Attribute, ...]:
    """What the agent can truly do: placement believes it."""
    names = [
        *(f"{_AGENT}docker-remote-api.1.{minor}" for minor in _DOCKER_API),
        f"{_AGENT}logging-driver.awslogs",
        f"{_AGENT}logging-driver.json-file",
        f"{_NEWER}task-eni",
        f"{_NEWER}task-cpu-mem-limit",
        f"{_NEWER}increased-task-cpu-limit",
        # Logs are sent with the node's own key, whatever execution role a task names.
        f"{_NEWER}execution-role-awslogs",
        f"{_NEWER}container-ordering",
        f"{_NEWER}container-health-check",
        f"{_NEWER}container-restart-policy",
        "moorage.capability.eni-in-payload",
        EXEC_ATTRIBUTE,
        f"{_NEWER}pid-ipc-namespace-sharing",
        *(f"moorage.file-system.{name}" for name in identity.file_systems),
    ]
    if identity.fleet:
        names.append(f"moorage.capability.{identity.isolation}")
    else:
        names += [f"{_AGENT}privileged-container", f"{_NEWER}docker-plugin.local"]
    if identity.file_systems:
        names.append(f"{_NEWER}efs")
    if identity.ephemeral_storage:
        names.append("moorage.capability.ephemeral-storage")
    if identity.apparmor:
        names.append(f"{_AGENT}apparmor")
    values = {
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.cpu-architecture": "arm64" if platform.machine() == "aarch64" else "x86_64",
    }
    if identity.zone is not None:
        values["ecs.availability-zone"] = identity.zone
    return (
        *(Attribute(name=name) for name in names),
        *(Attribute(name=name, value=value) for name, value in values.items()),
    )


async def register(ecs: EcsApi, identity: NodeIdentity, file: Path, dice: Dice) -> str:
    """The container instance's ARN, once the control plane has given it. Raises `ApiRefused`."""
    saved = load_registration(file)
    known = saved is not None and (saved.cluster, saved.region) == (identity.cluster, identity.region)
    arn = saved.container_instance if saved and known else None
    wait_s = RETRY_MIN_S
    while True:
        try:
            answer = await ecs.register(identity.cluster, arn, attributes(identity), identity.total, uuid(dice))
        except Unavailable as error:
            log.info("registering: %s", error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)
        except ApiRefused as error:
            arn = await _reconsider(ecs, identity, arn, error)
        else:
            registration = Registration(container_instance=answer, cluster=identity.cluster, region=identity.region)
            save_registration(file, registration)
            return answer


async def _reconsider(ecs: EcsApi, identity: NodeIdentity, arn: str | None, error: ApiRefused) -> str | None:
    """What to register with next; raises the refusal again where there is nothing else to try."""
    if error.code == "ClusterNotFoundException" and identity.cluster == DEFAULT_CLUSTER and not identity.fleet:
        try:
            await ecs.create_cluster(identity.cluster)
        except Unavailable as unavailable:
            log.info("creating the cluster: %s", unavailable)
            await asyncio.sleep(RETRY_MAX_S)
        return arn
    if error.code == "InvalidParameterException" and arn is not None:
        log.warning("%s is not known any more, registering anew: %s", arn, error)
        return None
    raise error
