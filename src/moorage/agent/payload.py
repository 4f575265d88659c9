"""A payload's tasks, as the published protocol describes them, made into plans of our own.

What this agent cannot do yet is refused here, with the sentence that the task's `reason` will carry: a setting that
nobody reads would be lost in silence. Labels are the exception: nothing on the node acts on them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from moorage.agent import facts, payload_order, payload_settings
from moorage.agent.events import PayloadReceived, Refusal, StopOrder
from moorage.agent.spec import (
    ContainerId,
    ContainerSpec,
    Interface,
    Isolation,
    NetworkMode,
    PortBinding,
    SandboxId,
    SandboxSpec,
    Ulimit,
)
from moorage.agent.task import ContainerPlan, LogPlan, TaskPlan
from moorage.link import acs, docker
from moorage.model.container_instance import Resources

UNITS_PER_VCPU: Final = 1024
BYTES_PER_MIB: Final = 1 << 20
CPU_PERIOD_US: Final = 100_000  # of the kernel's bandwidth control; ECS_CGROUP_CPU_PERIOD's default
# The kernel's own bounds of cpu.shares.
SHARES_MIN: Final = 2
SHARES_MAX: Final = 262_144
DEFAULT_STOP_TIMEOUT_S: Final = 30.0  # ECS_CONTAINER_STOP_TIMEOUT
FARGATE_STOP_TIMEOUT_MAX_S: Final = 120.0  # as Fargate documents
# On Fargate a task may not take the host's process ids away from its neighbours; AWS does not tell its number.
FARGATE_PIDS_MAX: Final = 8_192

_TASK_ID = re.compile(r"[0-9a-f]{32}\Z")
_AWSLOGS_OPTIONS: Final = frozenset(
    {"awslogs-group", "awslogs-region", "awslogs-stream", "awslogs-create-group", "mode", "max-buffer-size"}
)
# Members of a payload that this agent does not carry out.
_TASK_UNREAD: Final = (
    "associations",
    "attachments",
    "proxy_configuration",
    "enable_fault_injection",
    "role_credentials",
    "execution_role_credentials",
)
_CONTAINER_UNREAD: Final = (
    "environment_files",
    "secrets",
    "registry_authentication",
    "logs_auth_strategy",
    "managed_agents",
    "firelens_configuration",
    "credential_specs",
)


class NodeTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What of the node decides how a payload is read."""

    region: str
    fleet_isolation: Isolation = "userns"  # of Fargate tasks; all others get plain namespaces
    metadata_files: bool = False  # each container of an instance finds a file of what is known of it
    endpoint_key: str = ""  # hexadecimal, secret; empty: this node tells its containers nothing of themselves


class _Unfit(Exception):
    """This agent cannot run the task."""


class _Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A container's `overrides`: the control plane merges all but the command, and usually that as well."""

    command: tuple[str, ...] | None = None


def read_payload(message: acs.PayloadMessage, traits: NodeTraits) -> PayloadReceived:
    """What the machine is told of a payload."""
    run, stop, refused = [], [], []
    for task in message.tasks:
        id_ = SandboxId(task.arn.rpartition("/")[2])
        if task.desired_status == "STOPPED":
            stop.append(StopOrder(arn=task.arn, id=id_, cluster=task.task_cluster_arn))
            continue
        try:
            run.append(plan(task, traits))
        except (_Unfit, payload_settings.Unfit, msgspec.DecodeError, UnicodeDecodeError) as error:
            # The published agent's own spelling.
            refused.append(_refusal(task, id_, f"UnrecogniedTaskError: Error loading task - {error}"))
        except payload_order.Unresolvable as error:
            refused.append(_refusal(task, id_, f"Task dependencies cannot be resolved: {error}"))
    return PayloadReceived(
        message_id=message.message_id,
        seq_num=message.seq_num or 0,
        run=tuple(run),
        stop=tuple(stop),
        refused=tuple(refused),
    )


def _refusal(task: acs.Task, id_: SandboxId, why: str) -> Refusal:
    return Refusal(
        arn=task.arn,
        id=id_,
        cluster=task.task_cluster_arn,
        containers=tuple(container.name for container in task.containers),
        reason=why,
    )


def plan(task: acs.Task, traits: NodeTraits) -> TaskPlan:
    """The plan for one task. Raises `_Unfit`, `Unresolvable` and msgspec.DecodeError."""
    id_ = SandboxId(task.arn.rpartition("/")[2])
    if not _TASK_ID.match(id_):
        raise _Unfit(f"the task id {id_!r} is not 32 hexadecimal digits")
    if not task.containers:
        raise _Unfit("the task has no containers")
    _refuse_unread(task, _TASK_UNREAD, "the task")
    if task.overrides not in (None, "", "{}"):
        raise _Unfit("task overrides must come merged into the task")
    payload_order.check_graph(task)
    mode: NetworkMode = task.network_mode or "bridge"
    isolation = traits.fleet_isolation if task.launch_type == "FARGATE" else "namespaces"
    containers = tuple(_container(task, index, mode, traits, isolation) for index in range(len(task.containers)))
    if not any(container.essential for container in containers):
        raise _Unfit("the task has no essential container")
    return TaskPlan(
        arn=task.arn,
        id=id_,
        cluster=task.task_cluster_arn,
        sandbox=payload_settings.with_task_settings(_sandbox(task, id_, mode, isolation), task),
        containers=containers,
        need=_need(task, mode),
        facts=facts.task_facts(task),
    )


def _refuse_unread(shape: msgspec.Struct, names: tuple[str, ...], what: str) -> None:
    for name in names:
        if getattr(shape, name):
            raise _Unfit(f"{what} asks for {name.replace('_', ' ')}, which this agent does not offer")


# ---- the sandbox --------------------------------------------------------------------------------------------


def _sandbox(task: acs.Task, id_: SandboxId, mode: NetworkMode, isolation: Isolation) -> SandboxSpec:
    cpu_units = round((task.cpu or 0) * UNITS_PER_VCPU) or sum(c.cpu or 0 for c in task.containers)
    return SandboxSpec(
        id=id_,
        network_mode=mode,
        isolation=isolation,
        interface=_interface(task) if mode == "awsvpc" else None,
        ports=_published_ports(task) if mode == "bridge" else (),
        cpu_shares=_shares(cpu_units),
        cpu_quota_us=round(task.cpu * CPU_PERIOD_US) if task.cpu else None,
        memory_max_bytes=task.memory * BYTES_PER_MIB if task.memory else None,
        pids_max=None if isolation == "namespaces" else FARGATE_PIDS_MAX,
    )


def _shares(units: int) -> int:
    return min(max(units, SHARES_MIN), SHARES_MAX)


def _interface(task: acs.Task) -> Interface:
    if len(task.elastic_network_interfaces) != 1:
        raise _Unfit(f"an awsvpc task has one network interface, not {len(task.elastic_network_interfaces)}")
    eni = task.elastic_network_interfaces[0]
    if eni.interface_association_protocol == "vlan":
        raise _Unfit("the task's interface is a VLAN of a trunk, which this agent does not offer")
    address = next((a.private_address for a in eni.ipv4_addresses if a.primary), None)
    gateway, _, prefix_len = eni.subnet_gateway_ipv4_address.partition("/")
    if address is None or not prefix_len.isdigit():
        raise _Unfit("the task's interface has no primary address, or no prefix length on its gateway")
    return Interface(
        address=address,
        prefix_len=int(prefix_len),
        gateway=gateway,
        mac=eni.mac_address,
        dns_servers=eni.domain_name_servers,
        dns_search=eni.domain_name,
        hostname=eni.private_dns_name or "",
    )


def _published_ports(task: acs.Task) -> tuple[PortBinding, ...]:
    return tuple(
        PortBinding(
            container=container.name,
            container_port=_port(mapping),
            host_port=mapping.host_port or 0,
            protocol=mapping.protocol or "tcp",
        )
        for container in task.containers
        for mapping in container.port_mappings
    )


def _port(mapping: acs.PortMapping) -> int:
    if mapping.container_port is None or mapping.container_port_range is not None:
        raise _Unfit("the task asks for a range of ports, which this agent does not offer")
    return mapping.container_port


def _need(task: acs.Task, mode: NetworkMode) -> Resources:
    """What the task takes of the host, by the same reckoning as placement's."""
    units = round((task.cpu or 0) * UNITS_PER_VCPU) or sum(c.cpu or 0 for c in task.containers)
    memory = task.memory or sum(_reserved_mib(c) for c in task.containers)
    ports: dict[str, list[int]] = {"tcp": [], "udp": []}
    if mode in ("bridge", "host"):
        for mapping in (m for c in task.containers for m in c.port_mappings):
            port = _port(mapping) if mode == "host" else mapping.host_port
            if port:
                ports[mapping.protocol or "tcp"].append(port)
    return Resources(cpu=units, memory=memory, ports_tcp=tuple(ports["tcp"]), ports_udp=tuple(ports["udp"]))


def _reserved_mib(container: acs.Container) -> int:
    host = docker.decode_host_config(container.docker_config.host_config if container.docker_config else None)
    if host.memory_reservation:
        return host.memory_reservation // BYTES_PER_MIB
    return container.memory or 0


# ---- containers ---------------------------------------------------------------------------------------------


def _container(
    task: acs.Task, index: int, mode: NetworkMode, traits: NodeTraits, isolation: Isolation
) -> ContainerPlan:
    part = task.containers[index]
    _refuse_unread(part, _CONTAINER_UNREAD, f"container {part.name}")
    given = part.docker_config or acs.DockerConfig()
    host = docker.decode_host_config(given.host_config)
    if host.network_mode not in (None, mode):
        raise _Unfit(f"container {part.name} names network mode {host.network_mode}, its task {mode}")
    if host.privileged and isolation != "namespaces":
        raise _Unfit(f"container {part.name} is privileged, which an isolated task cannot be")
    sandbox = SandboxId(task.arn.rpartition("/")[2])
    id_ = ContainerId(f"{sandbox}-{index}")
    runtime_id = _runtime_id(id_, fargate=task.launch_type == "FARGATE")
    known = facts.container_facts(task, part, runtime_id, traits.endpoint_key, with_file=traits.metadata_files)
    config = docker.decode_config(given.config)
    try:
        health = payload_order.health_plan(part, config.healthcheck)
    except ValueError as error:
        raise _Unfit(str(error)) from error
    wanted_s = DEFAULT_STOP_TIMEOUT_S if part.stop_timeout is None else float(part.stop_timeout)
    return ContainerPlan(
        spec=msgspec.structs.replace(
            payload_settings.with_container_settings(
                _spec(part, id_, sandbox, config, host, traits), task, index, isolation
            ),
            environment=tuple(((part.environment or {}) | facts.environment(known)).items()),
            metadata_directory=known.file_directory,
            metadata=facts.first_file(task, part) if known.file_directory else "",
        ),
        runtime_id=runtime_id,
        essential=part.essential is not False,
        stop_timeout_s=min(wanted_s, FARGATE_STOP_TIMEOUT_MAX_S) if task.launch_type == "FARGATE" else wanted_s,
        depends_on=payload_order.dependencies(task, index),
        start_timeout_s=None if part.start_timeout is None else float(part.start_timeout),
        health=health,
        restart=payload_order.restart_plan(part.restart_policy),
        log=_log(part.name, host.log_config, runtime_id, traits),
        facts=known,
    )


def _spec(
    part: acs.Container,
    id_: ContainerId,
    sandbox: SandboxId,
    config: docker.Config,
    host: docker.HostConfig,
    traits: NodeTraits,
) -> ContainerSpec:
    override = msgspec.json.decode(part.overrides, type=_Overrides) if part.overrides else _Overrides()
    return ContainerSpec(
        id=id_,
        sandbox=sandbox,
        name=part.name,
        image=part.image,
        entry_point=part.entry_point,
        command=part.command if override.command is None else override.command,
        default_environment=(("AWS_REGION", traits.region), ("AWS_DEFAULT_REGION", traits.region)),
        user=config.user,
        working_directory=config.working_dir,
        hostname=config.hostname,
        cpu_shares=_shares(part.cpu or 0),
        memory_max_bytes=part.memory * BYTES_PER_MIB if part.memory else None,
        memory_reservation_bytes=host.memory_reservation,
        readonly_root=bool(host.readonly_rootfs),
        privileged=bool(host.privileged),
        init=bool(host.init),
        capabilities_add=host.cap_add or (),
        capabilities_drop=host.cap_drop or (),
        ulimits=tuple(Ulimit(name=each.name, soft=each.soft, hard=each.hard) for each in host.ulimits or ()),
    )


def _runtime_id(id_: ContainerId, *, fargate: bool) -> str:
    """Of the same shape as those people know: a Docker id, or on Fargate the task's id and ten digits. Derived, so
    that a restarted agent tells the same one."""
    digest = hashlib.sha256(id_.encode()).hexdigest()
    if not fargate:
        return digest
    return f"{id_.rpartition('-')[0]}-{int(digest[:15], 16) % 10**10:010d}"


def _log(name: str, config: docker.LogConfig | None, runtime_id: str, traits: NodeTraits) -> LogPlan | None:
    """Where the output goes; None: it stays in the node's own file until the container is removed."""
    if config is None:
        return None
    if config.type == "json-file":
        if config.config:
            raise _Unfit(f"container {name}: the json-file log driver takes no options here")
        return None
    if config.type != "awslogs":
        raise _Unfit(f"container {name}: the log driver {config.type} is not offered by this agent")
    options = config.config
    unread = sorted(set(options) - _AWSLOGS_OPTIONS)
    if unread:
        raise _Unfit(f"container {name}: the awslogs option {unread[0]} is not offered by this agent")
    if not options.get("awslogs-group"):
        raise _Unfit(f"container {name}: must specify a value for log opt 'awslogs-group'")
    return LogPlan(
        group=options["awslogs-group"],
        stream=options.get("awslogs-stream") or runtime_id,
        region=options.get("awslogs-region") or traits.region,
        create_group=options.get("awslogs-create-group", "").lower() == "true",
    )
