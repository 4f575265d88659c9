"""The agent's introspection API: what runs on this node, for whoever works on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from moorage import __version__
from moorage.agent.life import TaskLife
from moorage.agent.metadata.answer import NOT_FOUND, TEXT, Answer, Query, told
from moorage.agent.metadata.describe import Describer
from moorage.agent.metadata.shapes import Container, Network, Port, Volume
from moorage.agent.spec import SandboxId

VERSION: Final = f"Moorage Agent - v{__version__}"
COMMANDS: Final = ("/v1/metadata", "/v1/tasks", "/license")
LICENSE: Final = (
    "Moorage is licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0\n"
)


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Pascal-case names; what has its default is left out."""


class _Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    cluster: str
    container_instance_arn: str
    version: str


class _Commands(_Shape, frozen=True, kw_only=True):
    available_commands: tuple[str, ...]


class _Container(_Shape, frozen=True, kw_only=True):
    docker_id: str
    docker_name: str
    name: str
    image: str
    image_id: str = msgspec.field(name="ImageID", default="")
    created_at: str | None = None
    started_at: str | None = None
    ports: tuple[Port, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_count: int | None = None


class _Task(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    arn: str
    desired_status: str
    known_status: str
    family: str
    version: str
    containers: tuple[_Container, ...]


class _Tasks(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    tasks: tuple[_Task, ...]


class Introspection:
    """Tasks stay listed until the control plane has heard of their end."""

    def __init__(
        self,
        tasks: Callable[[], Mapping[SandboxId, TaskLife]],
        describer: Describer,
        cluster: str,
        instance: Callable[[], str],
    ) -> None:
        self._tasks = tasks
        self._describer = describer
        self._cluster = cluster
        self._instance = instance

    async def answer(self, query: Query) -> Answer:
        if query.method not in ("GET", "HEAD"):
            return NOT_FOUND
        if query.path == "/v1/metadata":
            arn = self._instance()
            return told(_Metadata(cluster=self._cluster, container_instance_arn=arn, version=VERSION))
        if query.path == "/v1/tasks":
            return self._listed(query.parameters)
        if query.path == "/license":
            return Answer(status=200, body=LICENSE.encode(), content_type=TEXT)
        return told(_Commands(available_commands=COMMANDS), 200 if query.path == "/" else 404)

    def _listed(self, parameters: dict[str, str]) -> Answer:
        arn, runtime_id = parameters.get("taskarn"), parameters.get("dockerid")
        if arn and runtime_id:
            return told(_Tasks(tasks=()), 400)
        if not arn and not runtime_id:
            return told(_Tasks(tasks=tuple(self._told(task) for task in self._tasks().values())))
        for task in self._tasks().values():
            ids = [container.plan.runtime_id for container in task.containers]
            if task.plan.arn == arn or (runtime_id and any(id_.startswith(runtime_id) for id_ in ids)):
                return told(self._told(task))
        return told(_Tasks(tasks=()), 404)

    def _told(self, task: TaskLife) -> _Task:
        whole = self._describer.task(task)
        return _Task(
            arn=whole.task_arn,
            desired_status=whole.desired_status,
            known_status=whole.known_status,
            family=whole.family,
            version=whole.revision,
            containers=tuple(_container(container) for container in whole.containers),
        )


def _container(container: Container) -> _Container:
    return _Container(
        docker_id=container.docker_id,
        docker_name=container.docker_name,
        name=container.name,
        image=container.image,
        image_id=container.image_id,
        created_at=container.created_at,
        started_at=container.started_at,
        ports=container.ports,
        networks=container.networks,
        volumes=container.volumes,
        restart_count=container.restart_count,
    )
