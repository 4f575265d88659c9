"""A task as its agent is told of it."""

from __future__ import annotations

import json

from msgspec.structs import replace
from tests.unit.records import a_definition, a_subnet, a_task, an_awsvpc_task, an_interface

from moorage.link import docker
from moorage.link.acs import Container, PortMapping
from moorage.link.payload import service_name, task_payload
from moorage.model.task import ContainerOverride, TaskOverride
from moorage.model.task_definition import (
    ContainerDefinition,
    KernelCapabilities,
    KeyValue,
    LinuxParameters,
    LogConfiguration,
    Ulimit,
)
from moorage.model.task_definition import PortMapping as DefinedPort

APP = ContainerDefinition(
    name="app",
    image="busybox:1",
    cpu=256,
    memory=128,
    memory_reservation=64,
    command=("serve",),
    environment=(KeyValue(name="MODE", value="prod"), KeyValue(name="LEVEL", value="1")),
    port_mappings=(DefinedPort(container_port=80),),
    stop_timeout=20,
    user="1000",
    working_directory="/srv",
    hostname="web",
    privileged=False,
    readonly_root_filesystem=True,
    ulimits=(Ulimit(name="nofile", soft_limit=10, hard_limit=20),),
    linux_parameters=LinuxParameters(capabilities=KernelCapabilities(add=("NET_ADMIN",)), init_process_enabled=True),
    docker_labels={"a": "b"},
)


def rendered(part: ContainerDefinition, override: ContainerOverride | None = None) -> Container:
    overrides = TaskOverride(container_overrides=(override,)) if override else TaskOverride()
    return task_payload(replace(a_task(), overrides=overrides), a_definition(part)).containers[0]


def host_config(container: Container) -> docker.HostConfig:
    assert container.docker_config is not None
    return docker.decode_host_config(container.docker_config.host_config)


def test_the_definition_is_rendered_as_the_engine_names_things() -> None:
    container = rendered(APP)
    assert container.docker_config is not None
    assert json.loads(container.docker_config.config or "") == {
        "User": "1000",
        "WorkingDir": "/srv",
        "Hostname": "web",
        "Labels": {"a": "b"},
    }
    assert json.loads(container.docker_config.host_config or "") == {
        "NetworkMode": "bridge",
        "Privileged": False,
        "ReadonlyRootfs": True,
        "CapAdd": ["NET_ADMIN"],
        "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
        "Init": True,
        "MemoryReservation": 64 * 1024 * 1024,
    }
    assert (container.cpu, container.memory, container.stop_timeout) == (256, 128, 20)
    assert container.command == ("serve",)
    assert container.essential is True


def test_overrides_are_laid_over_the_definition() -> None:
    override = ContainerOverride(
        name="app",
        command=("other", "words"),
        environment=(KeyValue(name="LEVEL", value="2"), KeyValue(name="NEW", value="3")),
        cpu=512,
        memory=256,
        memory_reservation=32,
    )
    container = rendered(APP, override)
    assert container.command == ("other", "words")
    assert container.environment == {"MODE": "prod", "LEVEL": "2", "NEW": "3", "AWS_EXECUTION_ENV": "AWS_ECS_EC2"}
    assert (container.cpu, container.memory) == (512, 256)
    assert host_config(container).memory_reservation == 32 * 1024 * 1024


def test_an_override_of_another_container_changes_nothing() -> None:
    assert rendered(APP, ContainerOverride(name="other", command=("x",))) == rendered(APP)


def test_the_stream_of_awslogs_is_named_by_prefix_container_and_task() -> None:
    options = {"awslogs-group": "/web", "awslogs-stream-prefix": "p", "awslogs-create-group": "true"}
    part = replace(APP, log_configuration=LogConfiguration(log_driver="awslogs", options=options))
    log = host_config(rendered(part)).log_config
    assert log is not None
    assert (log.type, log.config) == (
        "awslogs",
        {
            "awslogs-group": "/web",
            "awslogs-create-group": "true",
            "awslogs-region": "us-east-1",
            "awslogs-stream": f"p/app/{a_task().id}",
        },
    )


def test_other_log_drivers_keep_their_options() -> None:
    part = replace(APP, log_configuration=LogConfiguration(log_driver="json-file", options={"max-size": "1m"}))
    assert host_config(rendered(part)).log_config == docker.LogConfig(type="json-file", config={"max-size": "1m"})


def test_a_bridge_port_without_a_host_port_asks_for_any() -> None:
    assert rendered(APP).port_mappings == (PortMapping(container_port=80, host_port=0, protocol="tcp"),)


def test_an_awsvpc_task_has_its_interface_and_its_own_ports() -> None:
    task = replace(an_awsvpc_task(), launch_type="FARGATE", cpu=256, memory=512)
    payload = task_payload(task, a_definition(APP), an_interface(), a_subnet())
    (interface,) = payload.elastic_network_interfaces
    assert interface.ipv4_addresses[0].private_address == "172.31.16.9"
    assert interface.subnet_gateway_ipv4_address == "172.31.16.1/20"
    assert interface.domain_name == ("ec2.internal",)
    assert interface.attachment_arn.endswith(f":attachment/{task.attachment_id}")
    assert (payload.cpu, payload.memory, payload.network_mode) == (0.25, 512, "awsvpc")
    container = payload.containers[0]
    assert container.port_mappings[0].host_port == 80
    assert host_config(container).network_mode is None
    assert container.environment is not None
    assert container.environment["AWS_EXECUTION_ENV"] == "AWS_ECS_FARGATE"


def test_only_a_services_group_names_a_service() -> None:
    assert service_name("service:web") == "web"
    assert service_name("family:web") is None
    assert service_name("service:") is None
