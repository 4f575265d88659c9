"""A task as its metadata tells it, from the machine's picture of it and what the node knows of its containers."""

from __future__ import annotations

import ipaddress
from typing import Final, Protocol

from moorage.agent.life import ContainerLife, TaskLife
from moorage.agent.metadata import shapes
from moorage.agent.metadata.shapes import moment
from moorage.agent.spec import ContainerId, HostVolume, Interface, SandboxId
from moorage.agent.usage import HostClock, Usage

# In the order of the published agent's states; a task is as far as the least of its containers.
KNOWN: Final = ("NONE", "PULLED", "CREATED", "RUNNING", "STOPPED")


class Node(Protocol):
    """What the node knows; every call reads a few small files at most."""

    def sandbox_address(self, sandbox: SandboxId) -> str | None: ...

    def times(self, container: ContainerId) -> tuple[float | None, float | None]: ...

    def usage(self, container: ContainerId) -> Usage | None: ...

    def clock(self) -> HostClock: ...


class Describer:
    """Tells tasks and containers in the shapes of version 4."""

    def __init__(self, node: Node, cluster: str) -> None:
        self._node = node
        self._cluster = cluster  # as the node was configured

    def task(self, task: TaskLife) -> shapes.Task:
        facts = task.plan.facts
        fargate = facts.launch_type == "FARGATE"
        limited = facts.cpu is not None or facts.memory is not None
        return shapes.Task(
            cluster=task.plan.cluster if fargate else self._cluster,
            task_arn=task.plan.arn,
            family=facts.family,
            revision=facts.revision,
            desired_status=_desired(task),
            known_status=known_status(task),
            limits=shapes.Limits(cpu=facts.cpu, memory=facts.memory) if limited else None,
            pull_started_at=moment(task.pull_started_at),
            pull_stopped_at=moment(task.pull_stopped_at),
            execution_stopped_at=moment(task.execution_stopped_at),
            availability_zone=facts.zone,
            launch_type=facts.launch_type,
            containers=tuple(self.container(task, index) for index in range(len(task.containers))),
            service_name=facts.service,
            fault_injection_enabled=False,
            clock_drift=self._drift() if fargate else None,
        )

    def container(self, task: TaskLife, index: int) -> shapes.Container:
        life = task.containers[index]
        spec, facts = life.plan.spec, life.plan.facts
        created_s, _ = self._node.times(spec.id)
        return shapes.Container(
            docker_id=life.plan.runtime_id,
            name=spec.name,
            docker_name=facts.docker_name,
            image=spec.image,
            image_id=life.digest,
            ports=_ports(task, life),
            labels=dict(facts.labels),
            desired_status="STOPPED" if life.phase == "stopped" else _desired(task),
            known_status=_known(life),
            exit_code=life.exit.code if life.exit else None,
            limits=shapes.Limits(cpu=facts.cpu, memory=facts.memory or None),
            created_at=moment(created_s),
            started_at=moment(life.began_s),
            finished_at=moment(life.exit.at_s) if life.exit and life.exit.at_s else None,
            type="NORMAL",
            health=_health(life),
            volumes=_volumes(task, life),
            log_driver=facts.log_driver,
            log_options=dict(facts.log_options) or None,
            container_arn=facts.arn,
            snapshotter="overlayfs",
            restart_count=life.restarts if life.plan.restart else None,
            networks=(self._network(task),),
        )

    def _network(self, task: TaskLife) -> shapes.Network:
        sandbox = task.plan.sandbox
        if sandbox.interface is not None:
            return _interface(sandbox.interface)
        address = self._node.sandbox_address(sandbox.id) or ""
        return shapes.Network(network_mode=sandbox.network_mode, ipv4_addresses=(address,))

    def _drift(self) -> shapes.ClockDrift:
        clock = self._node.clock()
        return shapes.ClockDrift(
            clock_error_bound=clock.error_bound_ms,
            reference_timestamp=moment(clock.at_s) or "",
            clock_synchronization_status="SYNCHRONIZED" if clock.synchronized else "NOT_SYNCHRONIZED",
        )


def known_status(task: TaskLife) -> str:
    """How far the whole task is."""
    if task.phase == "stopped":
        return "STOPPED"
    return min((_known(container) for container in task.containers), key=KNOWN.index)


def _known(life: ContainerLife) -> str:
    if life.phase == "new":
        return "NONE" if life.image is None else "PULLED"
    return {"starting": "CREATED", "running": "RUNNING", "restarting": "RUNNING", "stopped": "STOPPED"}[life.phase]


def _health(life: ContainerLife) -> shapes.Health | None:
    health = life.health
    if health is None:
        return None
    return shapes.Health(
        status=health.status, status_since=moment(health.since_s), exit_code=health.exit_code, output=health.output
    )


def _desired(task: TaskLife) -> str:
    return "STOPPED" if task.ending else "RUNNING"


def _ports(task: TaskLife, life: ContainerLife) -> tuple[shapes.Port, ...]:
    if task.plan.sandbox.network_mode != "bridge":
        return tuple(
            shapes.Port(container_port=port, protocol=protocol, host_port=port)
            for port, protocol in life.plan.facts.ports
        )
    return tuple(
        shapes.Port(
            container_port=port.container_port, protocol=port.protocol, host_port=port.host_port, host_ip="0.0.0.0"
        )
        for port in task.ports
        if port.container == life.plan.spec.name
    )


def _volumes(task: TaskLife, life: ContainerLife) -> tuple[shapes.Volume, ...]:
    """A directory of the host by its path, any other volume by the name that the task gives it."""
    paths = {each.name: each.path for each in task.plan.sandbox.volumes if isinstance(each, HostVolume)}
    return tuple(
        shapes.Volume(
            docker_name="" if point.volume in paths else point.volume,
            source=paths.get(point.volume, ""),
            destination=point.target,
        )
        for point in life.plan.spec.mount_points
    )


def _interface(interface: Interface) -> shapes.Network:
    subnet = ipaddress.IPv4Interface(f"{interface.address}/{interface.prefix_len}").network
    return shapes.Network(
        network_mode="awsvpc",
        ipv4_addresses=(interface.address,),
        attachment_index=0,
        mac_address=interface.mac,
        ipv4_subnet_cidr_block=str(subnet),
        domain_name_servers=interface.dns_servers,
        domain_name_search_list=interface.dns_search,
        private_dns_name=interface.hostname,
        subnet_gateway_ipv4_address=f"{interface.gateway}/{interface.prefix_len}",
    )
