"""What a container may ask about itself and its task: kept with the plan, so that a restarted agent tells the same.

Nothing here decides anything on the node. Where a container asks, and how it is told, is `agent/metadata`.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Final

import msgspec

from moorage.agent.spec import METADATA_FILE
from moorage.link import acs, docker

ENDPOINT: Final = "http://169.254.170.2"
# Where the published agent shows a container its metadata file.
FILE_DIRECTORY: Final = "/opt/ecs/metadata"

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9-]")
_NAME_DIGITS: Final = 20  # of a Docker name's end, as the published agent has it


class TaskFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a task, beyond what its sandbox needs to know."""

    family: str = ""
    revision: str = ""
    launch_type: str = ""
    service: str = ""
    zone: str = ""
    cpu: float | None = None  # vCPUs
    memory: int | None = None  # MiB


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a container, beyond what its start needs to know."""

    endpoint_id: str = ""  # in the URIs that the container is given; empty: it is given none
    file_directory: str = ""  # where it finds its metadata file; empty: it has none
    arn: str = ""
    docker_name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    cpu: int = 0  # units
    memory: int = 0  # MiB
    ports: tuple[tuple[int, str], ...] = ()  # (container port, protocol)
    log_driver: str = ""
    log_options: tuple[tuple[str, str], ...] = ()


def task_facts(task: acs.Task) -> TaskFacts:
    """What a payload says of a task."""
    return TaskFacts(
        family=task.family,
        revision=task.version,
        launch_type=task.launch_type or "EC2",
        service=task.service_name or "",
        zone=task.zone or "",
        cpu=task.cpu,
        memory=task.memory,
    )


def container_facts(
    task: acs.Task, part: acs.Container, runtime_id: str, endpoint_key: str, *, with_file: bool
) -> ContainerFacts:
    """What a payload says of a container; `endpoint_key` is the node's secret, empty where it has no endpoint."""
    given = part.docker_config or acs.DockerConfig()
    labels = docker.decode_config(given.config).labels or {}
    log = docker.decode_host_config(given.host_config).log_config
    endpoint_id = _endpoint_id(task, runtime_id, endpoint_key) if endpoint_key else ""
    return ContainerFacts(
        endpoint_id=endpoint_id,
        file_directory=f"{FILE_DIRECTORY}/{endpoint_id}" if with_file and endpoint_id else "",
        arn=part.container_arn or "",
        docker_name=part.name if task.launch_type == "FARGATE" else _docker_name(task, part, runtime_id),
        labels=tuple((labels | _labels(task, part)).items()),
        cpu=part.cpu or 0,
        memory=part.memory or 0,
        ports=tuple((m.container_port, m.protocol or "tcp") for m in part.port_mappings if m.container_port),
        log_driver=log.type if log else "json-file",
        log_options=tuple(log.config.items()) if log else (),
    )


def environment(known: ContainerFacts) -> dict[str, str]:
    """The variables by which a container finds its endpoint; they win over a definition's own, as on ECS."""
    endpoint_id = known.endpoint_id
    if not endpoint_id:
        return {}
    file = {"ECS_CONTAINER_METADATA_FILE": f"{known.file_directory}/{METADATA_FILE}"} if known.file_directory else {}
    return file | {
        "ECS_CONTAINER_METADATA_URI": f"{ENDPOINT}/v3/{endpoint_id}",
        "ECS_CONTAINER_METADATA_URI_V4": f"{ENDPOINT}/v4/{endpoint_id}",
        "ECS_AGENT_URI": f"{ENDPOINT}/api/{endpoint_id}",
    }


class _FirstFile(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    cluster: str
    task_arn: str = msgspec.field(name="TaskARN")
    task_definition_family: str
    task_definition_revision: str
    container_name: str
    metadata_file_status: str = "INITIAL"


def first_file(task: acs.Task, part: acs.Container) -> str:
    """A container's metadata file before the container runs."""
    first = _FirstFile(
        cluster=task.task_cluster_arn.rpartition("/")[2],
        task_arn=task.arn,
        task_definition_family=task.family,
        task_definition_revision=task.version,
        container_name=part.name,
    )
    return msgspec.json.encode(first).decode()


def _endpoint_id(task: acs.Task, runtime_id: str, key: str) -> str:
    """On Fargate the runtime id, as there: who asks is told by the address. Elsewhere nobody can guess it."""
    if task.launch_type == "FARGATE":
        return runtime_id
    digest = hashlib.blake2b(runtime_id.encode(), key=bytes.fromhex(key), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def _docker_name(task: acs.Task, part: acs.Container, runtime_id: str) -> str:
    name = _NOT_IN_NAMES.sub("", part.name)
    return f"ecs-{task.family}-{task.version}-{name}-{runtime_id[:_NAME_DIGITS]}"


def _labels(task: acs.Task, part: acs.Container) -> dict[str, str]:
    prefix = "com.amazonaws.ecs"
    return {
        f"{prefix}.cluster": task.task_cluster_arn.rpartition("/")[2],
        f"{prefix}.container-name": part.name,
        f"{prefix}.task-arn": task.arn,
        f"{prefix}.task-definition-family": task.family,
        f"{prefix}.task-definition-version": task.version,
    }
