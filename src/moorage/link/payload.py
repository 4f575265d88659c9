"""A task as its agent is told of it: definition and overrides merged, the Docker texts rendered.

The agent is told no overrides apart: what it gets is what it runs.
"""

from __future__ import annotations

from typing import Final

from moorage.base.ids import Scope
from moorage.link import acs, docker, settings
from moorage.model.network import NetworkInterface, Subnet
from moorage.model.task import Container, ContainerOverride, LaunchType, Task
from moorage.model.task_definition import (
    DEFAULT_ATTEMPT_PERIOD_S,
    ContainerDefinition,
    HealthCheck,
    LogConfiguration,
    NetworkMode,
    PortMapping,
    RestartPolicy,
    TaskDefinition,
)

CPU_UNITS_PER_VCPU: Final = 1024
BYTES_PER_MIB: Final = 1024 * 1024

EXECUTION_ENV: Final[dict[LaunchType, str]] = {
    "EC2": "AWS_ECS_EC2",
    "FARGATE": "AWS_ECS_FARGATE",
    "EXTERNAL": "AWS_ECS_EXTERNAL",
}
_NO_OVERRIDE = ContainerOverride(name="")


def task_payload(
    task: Task,
    definition: TaskDefinition,
    interface: NetworkInterface | None = None,
    subnet: Subnet | None = None,
) -> acs.Task:
    """The payload's task. `interface` and its `subnet` are given for an awsvpc task that still holds them."""
    return acs.Task(
        arn=task.arn,
        family=definition.family,
        version=str(definition.revision),
        desired_status=task.desired_status,
        task_cluster_arn=task.cluster,
        task_definition_account_id=definition.account,
        launch_type=task.launch_type,
        network_mode=task.network_mode,
        cpu=None if task.cpu is None else task.cpu / CPU_UNITS_PER_VCPU,
        memory=task.memory,
        overrides="{}",
        service_name=service_name(task.group),
        group=task.group,
        zone=task.availability_zone or None,
        ephemeral_storage_gib=definition.ephemeral_storage.size_in_gib if definition.ephemeral_storage else None,
        pid_mode=definition.pid_mode,
        ipc_mode=definition.ipc_mode,
        volumes=tuple(map(settings.volume, definition.volumes)),
        containers=tuple(_container(task, part) for part in definition.containers),
        elastic_network_interfaces=((interface_payload(task, interface, subnet),) if interface and subnet else ()),
    )


def service_name(group: str) -> str | None:
    """The service that a task's group names, if it does."""
    kind, _, name = group.partition(":")
    return name if kind == "service" and name else None


def attachment_arn(task: Task) -> str:
    """The ARN of the attachment of a task's interface."""
    return Scope(task.account, task.region).arn("ecs", f"attachment/{task.attachment_id}")


def interface_payload(task: Task, interface: NetworkInterface, subnet: Subnet) -> acs.NetworkInterface:
    """The interface of a task with the address that DescribeTasks tells."""
    base, _, prefix_len = subnet.cidr.partition("/")
    head, _, last = base.rpartition(".")
    _, _, domain = interface.private_dns_name.partition(".")
    return acs.NetworkInterface(
        attachment_arn=attachment_arn(task),
        ec2_id=interface.id,
        mac_address=interface.mac,
        ipv4_addresses=(acs.Ipv4Address(primary=True, private_address=interface.address),),
        # A subnet's first address is its router, in every VPC; prefixes are at most /28, so no octet overflows.
        subnet_gateway_ipv4_address=f"{head}.{int(last) + 1}/{prefix_len}",
        domain_name=(domain,) if domain else (),
        private_dns_name=interface.private_dns_name,
        interface_association_protocol="default",
        index=0,
    )


def _container_of(task: Task, name: str) -> Container:
    found = next((part for part in task.containers if part.name == name), None)
    assert found is not None, f"{task.id}: no container {name}"
    return found


def _container(task: Task, part: ContainerDefinition) -> acs.Container:
    override = next((o for o in task.overrides.container_overrides if o.name == part.name), _NO_OVERRIDE)
    return acs.Container(
        name=part.name,
        image=part.image,
        container_arn=_container_of(task, part.name).arn,
        cpu=part.cpu if override.cpu is None else override.cpu,
        memory=part.memory if override.memory is None else override.memory,
        essential=part.essential,
        command=part.command if override.command is None else override.command,
        entry_point=part.entry_point,
        environment=_environment(task, part, override),
        port_mappings=tuple(_port(mapping, task.network_mode) for mapping in part.port_mappings),
        depends_on=tuple(
            acs.Dependency(container_name=one.container_name, condition=one.condition)
            for one in part.depends_on or ()
        ),
        start_timeout=part.start_timeout,
        stop_timeout=part.stop_timeout,
        health_check_type="docker" if part.health_check and part.health_check.checks else None,
        restart_policy=_restart_policy(part.restart_policy),
        mount_points=settings.mount_points(part),
        volumes_from=settings.volumes_from(part),
        links=part.links or (),
        docker_config=_docker_config(task, part, override),
    )


def _docker_config(task: Task, part: ContainerDefinition, override: ContainerOverride) -> acs.DockerConfig:
    return acs.DockerConfig(
        config=docker.encode(_config(part)),
        host_config=docker.encode(_host_config(task, part, override)),
        version=_api_version(part),
    )


def _api_version(part: ContainerDefinition) -> str:
    late = part.health_check is not None and part.health_check.start_period is not None
    return docker.START_PERIOD_VERSION if late else docker.API_VERSION


def _restart_policy(given: RestartPolicy | None) -> acs.RestartPolicy | None:
    if given is None or not given.enabled:
        return None
    return acs.RestartPolicy(
        enabled=True,
        ignored_exit_codes=given.ignored_exit_codes or (),
        restart_attempt_period=given.restart_attempt_period or DEFAULT_ATTEMPT_PERIOD_S,
    )


def _healthcheck(given: HealthCheck | None) -> docker.Healthcheck | None:
    if given is None:
        return None
    return docker.Healthcheck(
        test=given.command,
        interval=_nanoseconds(given.interval),
        timeout=_nanoseconds(given.timeout),
        retries=given.retries,
        start_period=_nanoseconds(given.start_period),
    )


def _nanoseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000_000


def _environment(task: Task, part: ContainerDefinition, override: ContainerOverride) -> dict[str, str]:
    """The definition's variables, the override's laid over them by name; AWS_EXECUTION_ENV is ours to tell."""
    merged = {pair.name: pair.value for pair in part.environment}
    merged.update({pair.name: pair.value for pair in override.environment or ()})
    merged["AWS_EXECUTION_ENV"] = EXECUTION_ENV[task.launch_type]
    return merged


def _port(mapping: PortMapping, mode: NetworkMode) -> acs.PortMapping:
    shared = mode in ("awsvpc", "host")  # the container's port is the host's, or the interface's
    return acs.PortMapping(
        container_port=mapping.container_port,
        host_port=mapping.container_port if shared else mapping.host_port or 0,
        protocol=mapping.protocol,
    )


def _config(part: ContainerDefinition) -> docker.Config:
    return docker.Config(
        user=part.user,
        working_dir=part.working_directory,
        hostname=part.hostname,
        labels=part.docker_labels,
        healthcheck=_healthcheck(part.health_check),
        open_stdin=part.interactive,
        tty=part.pseudo_terminal,
        network_disabled=part.disable_networking,
    )


def _host_config(task: Task, part: ContainerDefinition, override: ContainerOverride) -> docker.HostConfig:
    soft = part.memory_reservation if override.memory_reservation is None else override.memory_reservation
    told = docker.HostConfig(
        # In awsvpc mode the containers join the task's own namespace; the agent fills that in.
        network_mode=None if task.network_mode == "awsvpc" else task.network_mode,
        log_config=_log_config(task, part.name, part.log_configuration) if part.log_configuration else None,
        privileged=part.privileged,
        readonly_rootfs=part.readonly_root_filesystem,
        ulimits=tuple(docker.Ulimit(name=u.name, soft=u.soft_limit, hard=u.hard_limit) for u in part.ulimits)
        if part.ulimits
        else None,
        memory_reservation=None if soft is None else soft * BYTES_PER_MIB,
    )
    return settings.with_settings(told, part, part.memory if override.memory is None else override.memory)


def _log_config(task: Task, container: str, log: LogConfiguration) -> docker.LogConfig:
    """The log driver with its options; for awslogs the region and the stream are filled in.

    The engine's own driver does not know `awslogs-stream-prefix`: the control plane turns it into the stream's name.
    """
    options = dict(log.options or {})
    if log.log_driver == "awslogs":
        options.setdefault("awslogs-region", task.region)
        prefix = options.pop("awslogs-stream-prefix", None)
        if prefix is not None:
            options["awslogs-stream"] = f"{prefix}/{container}/{task.id}"
    return docker.LogConfig(type=log.log_driver, config=options)
