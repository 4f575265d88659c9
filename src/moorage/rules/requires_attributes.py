"""What an instance's agent must be able to do for a task of a definition: attribute names, by which placement finds
instances. The names are those that the published agent registers; which setting asks for which is data here.

`docker-remote-api.N` stands for what the Docker API could from that version on.
"""

from __future__ import annotations

from collections.abc import Iterator

from moorage.model.task_definition import ContainerDefinition, Definition
from moorage.rules.task_definitions_compute import is_ecr_image, uses_awslogs

_AGENT = "com.amazonaws.ecs.capability."
_NEWER = "ecs.capability."
_DOCKER = _AGENT + "docker-remote-api."
_LARGEST_TASK_OF_OLD_AGENTS = 10 * 1024  # cpu units


def requires_attributes(definition: Definition) -> tuple[str, ...]:
    """The names, without repetition, in a fixed order."""
    names = list(_of_task(definition))
    for container in definition.containers:
        names.extend(_of_container(definition, container))
    return tuple(dict.fromkeys(names))


def _of_task(definition: Definition) -> Iterator[str]:
    if definition.network_mode == "awsvpc":
        yield _NEWER + "task-eni"
        yield _DOCKER + "1.18"
    if definition.task_role_arn:
        yield _AGENT + ("task-iam-role-network-host" if definition.network_mode == "host" else "task-iam-role")
    if definition.cpu is not None or definition.memory is not None:
        yield _NEWER + "task-cpu-mem-limit"
    if (definition.cpu or 0) > _LARGEST_TASK_OF_OLD_AGENTS:
        yield _NEWER + "increased-task-cpu-limit"
    if definition.pid_mode or definition.ipc_mode:
        yield _NEWER + "pid-ipc-namespace-sharing"
    for volume in definition.volumes:
        if volume.docker_volume_configuration is not None:
            yield f"{_NEWER}docker-plugin.{volume.docker_volume_configuration.driver or 'local'}"
        if volume.efs_volume_configuration is not None:
            yield _NEWER + "efs"


def _of_container(definition: Definition, container: ContainerDefinition) -> Iterator[str]:
    if is_ecr_image(container.image):
        yield _AGENT + "ecr-auth"
        if definition.execution_role_arn:
            yield _NEWER + "execution-role-ecr-pull"
    if container.log_configuration:
        yield f"{_AGENT}logging-driver.{container.log_configuration.log_driver}"
        yield _DOCKER + "1.18"
    if uses_awslogs(container):
        yield _DOCKER + "1.19"
        if definition.execution_role_arn:
            yield _NEWER + "execution-role-awslogs"
    if container.depends_on:
        yield _NEWER + "container-ordering"
    if container.health_check and container.health_check.checks:
        yield _NEWER + "container-health-check"
        yield _DOCKER + ("1.24" if container.health_check.start_period is None else "1.29")
    if container.restart_policy and container.restart_policy.enabled:
        yield _NEWER + "container-restart-policy"
    if container.privileged:
        yield _AGENT + "privileged-container"
    if container.docker_labels or container.ulimits:
        yield _DOCKER + "1.18"
    if container.memory_reservation is not None:
        yield _DOCKER + "1.21"
    linux = container.linux_parameters
    if linux and (linux.tmpfs or linux.shared_memory_size is not None):
        yield _DOCKER + "1.22"
    if linux and linux.init_process_enabled:
        yield _DOCKER + "1.25"
    for option in container.docker_security_options or ():
        if not option.startswith("no-new-privileges"):
            yield _AGENT + ("apparmor" if option.startswith("apparmor") else "selinux")
