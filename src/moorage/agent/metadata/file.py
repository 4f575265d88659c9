"""The container metadata file once its container runs: written at each start, and by an agent that adopts one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from moorage.agent import events as on
from moorage.agent.life import TaskLife
from moorage.agent.metadata.describe import Describer
from moorage.agent.metadata.shapes import Network
from moorage.agent.ports import Workers
from moorage.agent.spec import ContainerId, DriverError, SandboxId

log = logging.getLogger(__name__)


class _Port(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    container_port: int
    host_port: int
    bind_ip: str
    protocol: str


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    cluster: str
    container_instance_arn: str = msgspec.field(name="ContainerInstanceARN", default="")
    task_arn: str = msgspec.field(name="TaskARN")
    task_definition_family: str
    task_definition_revision: str
    container_id: str = msgspec.field(name="ContainerID")
    container_name: str
    docker_container_name: str
    image_id: str = msgspec.field(name="ImageID")
    image_name: str
    port_mappings: tuple[_Port, ...] = ()
    networks: tuple[Network, ...] = ()
    metadata_file_status: str
    availability_zone: str = ""


class Teller(Protocol):
    def tell(self, container: ContainerId, text: str) -> None:
        """Replace what the container's file says. Blocks; raises `DriverError`."""
        ...


class MetadataFiles:
    """Looks on, and writes."""

    def __init__(
        self,
        tasks: Callable[[], Mapping[SandboxId, TaskLife]],
        describer: Describer,
        node: Teller,
        workers: Workers,
        instance: Callable[[], str],
    ) -> None:
        self._tasks = tasks
        self._describer = describer
        self._node = node
        self._workers = workers
        self._instance = instance

    def heard(self, event: on.Event) -> None:
        """A container runs now, or was found running."""
        if isinstance(event, on.ContainerStarted):
            task = self._tasks().get(event.task)
            if task is not None:
                self._write(task, event.index)
        elif isinstance(event, on.Adopted):
            for task in self._tasks().values():
                for index, life in enumerate(task.containers):
                    if life.phase == "running":
                        self._write(task, index)

    def _write(self, task: TaskLife, index: int) -> None:
        spec = task.containers[index].plan.spec
        if not spec.metadata_directory:
            return
        text = msgspec.json.encode(self._file(task, index)).decode()

        def done(failure: BaseException | None) -> None:
            if isinstance(failure, DriverError):
                log.warning("the metadata file of %s: %s", spec.id, failure)
            elif failure is not None:
                raise failure

        self._workers.submit(lambda: self._node.tell(spec.id, text), done)

    def _file(self, task: TaskLife, index: int) -> _File:
        whole, container = self._describer.task(task), self._describer.container(task, index)
        return _File(
            cluster=whole.cluster,
            container_instance_arn=self._instance(),
            task_arn=whole.task_arn,
            task_definition_family=whole.family,
            task_definition_revision=whole.revision,
            container_id=container.docker_id,
            container_name=container.name,
            docker_container_name=container.docker_name,
            image_id=container.image_id,
            image_name=container.image,
            port_mappings=tuple(
                _Port(
                    container_port=port.container_port,
                    host_port=port.host_port,
                    bind_ip=port.host_ip,
                    protocol=port.protocol,
                )
                for port in container.ports
            ),
            networks=container.networks,
            metadata_file_status="READY",
            availability_zone=whole.availability_zone,
        )
