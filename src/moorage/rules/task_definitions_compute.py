"""What each kind of compute refuses, each in its own sentence: the first fault found, or None.

A definition is refused for the faults of the kinds that it asks for; `compatibilities` are the kinds without fault.
Source: Developer Guide, "Amazon ECS launch types" and "Fargate task definition considerations".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from moorage.model.task_definition import Compatibility, ContainerDefinition, Definition
from moorage.rules.fargate import SIZES, WINDOWS_CPU, size_is_valid

Fault = str | None

EC2_CPU_MIN_UNITS: Final = 128
EC2_CPU_MAX_UNITS: Final = 196_608  # 192 vCPUs, the largest instances of AWS
TASK_MEMORY_MIN_MIB: Final = 4  # of one container, and a task has one at least
FARGATE_TIMEOUT_S: Final = range(2, 120 + 1)  # of start and of stop

_FARGATE_LOG_DRIVERS = frozenset(("awslogs", "splunk", "awsfirelens"))
_MANAGED_LOG_DRIVERS = _FARGATE_LOG_DRIVERS | {"json-file"}
_FARGATE_WINDOWS = re.compile(r"WINDOWS_SERVER_20(?:19|22|25)_(?:CORE|FULL)")
_ECR_IMAGE = re.compile(r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.[a-z.]+/.+")
_PREFIX = "Tasks using the Fargate launch type do not support"


def is_ecr_image(image: str) -> bool:
    """Whether an image lies in a private registry of ECR, so that pulling it needs a role."""
    return _ECR_IMAGE.fullmatch(image) is not None


def uses_awslogs(container: ContainerDefinition) -> bool:
    return container.log_configuration is not None and container.log_configuration.log_driver == "awslogs"


def ec2_fault(definition: Definition) -> Fault:
    if definition.ephemeral_storage is not None:
        return "ephemeralStorage is supported only by tasks that use the Fargate launch type."
    if definition.cpu is not None and not EC2_CPU_MIN_UNITS <= definition.cpu <= EC2_CPU_MAX_UNITS:
        return "Invalid 'cpu' setting for task."
    if definition.memory is not None and definition.memory < TASK_MEMORY_MIN_MIB:
        return "Invalid 'memory' setting for task."
    if definition.memory is not None:
        return None
    for container in definition.containers:
        if container.memory is None and container.memory_reservation is None:
            return (
                f"Invalid setting for container '{container.name}'. "
                "At least one of 'memory' or 'memoryReservation' must be specified."
            )
    return None


def external_fault(definition: Definition) -> Fault:
    if definition.network_mode == "awsvpc":
        return "External instances do not support network mode 'awsvpc'."
    return ec2_fault(definition)


def managed_instances_fault(definition: Definition) -> Fault:
    for container in definition.containers:
        log = container.log_configuration
        if log and log.log_driver not in _MANAGED_LOG_DRIVERS:
            return f"Managed Instances do not support log driver '{log.log_driver}'."
    return ec2_fault(definition)


def fargate_fault(definition: Definition) -> Fault:
    fault = fargate_size_fault(definition) or _fargate_platform_fault(definition)
    if fault:
        return fault
    fault = _fargate_task_fault(definition)
    if fault:
        return fault
    faults = (_fargate_container_fault(definition, container) for container in definition.containers)
    return next((fault for fault in faults if fault), None)


def fargate_size_fault(definition: Definition) -> Fault:
    """What is wrong before a single container is looked at."""
    if definition.network_mode != "awsvpc":
        return "Fargate only supports network mode ‘awsvpc’."
    if definition.cpu is None:
        return "Fargate requires that 'cpu' be defined at the task level."
    if definition.memory is None:
        return "Fargate requires that 'memory' be defined at the task level."
    if definition.cpu not in (WINDOWS_CPU if definition.windows else SIZES):
        return "Invalid 'cpu' setting for task."
    if not size_is_valid(definition.cpu, definition.memory, windows=definition.windows):
        return "No Fargate configuration exists for given values."
    return None


def _fargate_platform_fault(definition: Definition) -> Fault:
    platform = definition.runtime_platform
    if platform is None or not definition.windows:
        return None
    if not _FARGATE_WINDOWS.fullmatch(platform.operating_system_family or ""):
        return f"{_PREFIX} the operating system family '{platform.operating_system_family}'."
    if platform.cpu_architecture == "ARM64":
        return f"{_PREFIX} Windows on ARM64."
    return None


def _fargate_task_fault(definition: Definition) -> Fault:
    """What would lead out of the task, or names a host."""
    if definition.placement_constraints:
        return f"{_PREFIX} placement constraints."
    if definition.pid_mode == "host":
        return f"{_PREFIX} pidMode 'host'. The supported value for pidMode is 'task'."
    if definition.ipc_mode is not None:
        return f"{_PREFIX} ipcMode."
    for volume in definition.volumes:
        if volume.docker_volume_configuration is not None:
            return f"{_PREFIX} dockerVolumeConfiguration."
        if volume.host and volume.host.source_path:
            return f"{_PREFIX} a volume's host sourcePath."
    return None


def _fargate_setting_fault(container: ContainerDefinition) -> Fault:
    """Settings of a container that belong to a host, to Docker, or to another network than a task's own."""
    linux = container.linux_parameters
    for what, given in (
        ("privileged containers", container.privileged),
        ("disableNetworking", container.disable_networking),
        ("dnsServers", container.dns_servers),
        ("dnsSearchDomains", container.dns_search_domains),
        ("dockerSecurityOptions", container.docker_security_options),
        ("resourceRequirements", container.resource_requirements),
        ("devices", linux and linux.devices),
        ("sharedMemorySize", linux and linux.shared_memory_size is not None),
        ("maxSwap", linux and linux.max_swap is not None),
        ("swappiness", linux and linux.swappiness is not None),
    ):
        if given:
            return f"{_PREFIX} {what}."
    return None


def _fargate_container_fault(definition: Definition, container: ContainerDefinition) -> Fault:
    fault = _fargate_setting_fault(container)
    if fault:
        return fault
    for ulimit in container.ulimits or ():
        if ulimit.name != "nofile":
            return f"{_PREFIX} the ulimit '{ulimit.name}'. The supported ulimit is 'nofile'."
    linux = container.linux_parameters
    added = linux.capabilities.add or () if linux and linux.capabilities else ()
    for capability in added:
        if capability != "SYS_PTRACE":
            return f"{_PREFIX} adding the capability '{capability}'. The supported capability is 'SYS_PTRACE'."
    for what, seconds in (("startTimeout", container.start_timeout), ("stopTimeout", container.stop_timeout)):
        if seconds is not None and seconds not in FARGATE_TIMEOUT_S:
            return f"{_PREFIX} a {what} of {seconds} seconds. The range is 2 to 120."
    if is_ecr_image(container.image) and not definition.execution_role_arn:
        return "Fargate requires task definition to have execution role ARN to support ECR images."
    return _fargate_log_fault(definition, container)


def _fargate_log_fault(definition: Definition, container: ContainerDefinition) -> Fault:
    log = container.log_configuration
    if log is None:
        return None
    if log.log_driver not in _FARGATE_LOG_DRIVERS:
        return f"{_PREFIX} the log driver '{log.log_driver}'."
    if log.log_driver != "awslogs":
        return None
    if not definition.execution_role_arn:
        return "Fargate requires task definition to have execution role ARN to support log driver awslogs."
    if not (log.options or {}).get("awslogs-stream-prefix"):
        return "Log driver awslogs requires options: awslogs-stream-prefix"
    return None


FAULTS: Final[dict[Compatibility, Callable[[Definition], Fault]]] = {
    "EXTERNAL": external_fault,
    "EC2": ec2_fault,
    "FARGATE": fargate_fault,
    "MANAGED_INSTANCES": managed_instances_fault,
}
"""In the order in which ECS tells the compatibilities."""
