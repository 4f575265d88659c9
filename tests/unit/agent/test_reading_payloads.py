"""A payload's task becomes a plan, or is refused with a sentence."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.agent.payload import FARGATE_PIDS_MAX, NodeTraits, read_payload
from moorage.agent.spec import Interface, PortBinding, Ulimit
from moorage.agent.task import LogPlan, TaskPlan
from moorage.link import acs, docker
from moorage.model.container_instance import Resources

ID = "4c" * 16
ARN = f"arn:aws:ecs:us-east-1:123456789012:task/lab/{ID}"
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/lab"
TRAITS = NodeTraits(region="us-east-1", fleet_isolation="userns")
ENI = acs.NetworkInterface(
    attachment_arn="arn:aws:ecs:us-east-1:123456789012:attachment/77",
    ec2_id="eni-0ab1",
    mac_address="0e:11:22:33:44:55",
    ipv4_addresses=(acs.Ipv4Address(primary=True, private_address="10.0.0.9"),),
    subnet_gateway_ipv4_address="10.0.0.1/24",
    domain_name_servers=("10.0.0.2",),
    domain_name=("ec2.internal",),
    private_dns_name="ip-10-0-0-9.ec2.internal",
)


NO_COMMAND = docker.Config(healthcheck=docker.Healthcheck(test=("NONE",)))


def container(host: docker.HostConfig | None = None, config: docker.Config | None = None) -> acs.Container:
    given = acs.DockerConfig(
        config=docker.encode(config or docker.Config()), host_config=docker.encode(host or docker.HostConfig())
    )
    return acs.Container(name="app", image="registry.local/app:3", essential=True, docker_config=given)


def task(*containers: acs.Container) -> acs.Task:
    return acs.Task(
        arn=ARN,
        family="web",
        version="7",
        desired_status="RUNNING",
        task_cluster_arn=CLUSTER,
        launch_type="EC2",
        containers=containers or (container(),),
    )


def read(*tasks: acs.Task) -> tuple[tuple[TaskPlan, ...], tuple[str, ...]]:
    """The plans of a payload, and the reasons of its refusals."""
    message = acs.PayloadMessage(
        cluster_arn=CLUSTER, container_instance_arn="arn:i", message_id="m", seq_num=4, tasks=tasks
    )
    event = read_payload(message, TRAITS)
    assert event.seq_num == 4
    return event.run, tuple(refusal.reason for refusal in event.refused)


def plan_of(given: acs.Task) -> TaskPlan:
    plans, refusals = read(given)
    assert refusals == ()
    return plans[0]


def refusal_of(given: acs.Task) -> str:
    plans, refusals = read(given)
    assert plans == ()
    return refusals[0]


def test_a_task_to_stop_needs_no_more_than_its_arn() -> None:
    message = acs.PayloadMessage(
        cluster_arn=CLUSTER,
        container_instance_arn="arn:i",
        message_id="m",
        tasks=(replace(task(), desired_status="STOPPED", containers=()),),
    )
    event = read_payload(message, TRAITS)
    assert [(order.id, order.arn, order.cluster) for order in event.stop] == [(ID, ARN, CLUSTER)]
    assert event.run == ()


def test_network_mode_is_bridge_unless_told() -> None:
    ports = (
        acs.PortMapping(container_port=80, host_port=0),
        acs.PortMapping(container_port=53, host_port=5353, protocol="udp"),
    )
    plan = plan_of(task(replace(container(), port_mappings=ports)))
    assert plan.sandbox.network_mode == "bridge"
    assert plan.sandbox.ports == (
        PortBinding(container="app", container_port=80, host_port=0),
        PortBinding(container="app", container_port=53, host_port=5353, protocol="udp"),
    )
    assert plan.need == Resources(ports_udp=(5353,))


def test_host_mode_takes_the_containers_ports_of_the_host() -> None:
    ports = (acs.PortMapping(container_port=80, host_port=80),)
    plan = plan_of(replace(task(replace(container(), port_mappings=ports)), network_mode="host"))
    assert plan.need == Resources(ports_tcp=(80,))
    assert plan.sandbox.ports == ()


def test_an_awsvpc_task_has_the_interface_that_it_was_given() -> None:
    plan = plan_of(replace(task(), network_mode="awsvpc", elastic_network_interfaces=(ENI,)))
    assert plan.sandbox.interface == Interface(
        address="10.0.0.9",
        prefix_len=24,
        gateway="10.0.0.1",
        mac="0e:11:22:33:44:55",
        dns_servers=("10.0.0.2",),
        dns_search=("ec2.internal",),
        hostname="ip-10-0-0-9.ec2.internal",
    )


def test_task_level_size_becomes_the_sandboxes_limits_and_its_need() -> None:
    plan = plan_of(replace(task(), cpu=0.5, memory=256))
    assert plan.sandbox.cpu_quota_us == 50_000
    assert plan.sandbox.cpu_shares == 512
    assert plan.sandbox.memory_max_bytes == 256 << 20
    assert plan.need == Resources(cpu=512, memory=256)


def test_without_task_level_size_the_containers_reservations_are_the_need() -> None:
    soft = container(docker.HostConfig(memory_reservation=64 << 20))
    plan = plan_of(task(replace(soft, cpu=100, memory=512), replace(container(), name="b", cpu=28, memory=32)))
    assert plan.need == Resources(cpu=128, memory=96)
    assert plan.sandbox.cpu_quota_us is None
    assert plan.sandbox.cpu_shares == 128
    assert plan.containers[0].spec.memory_max_bytes == 512 << 20
    assert plan.containers[0].spec.memory_reservation_bytes == 64 << 20


def test_a_fargate_task_is_isolated_and_bounded() -> None:
    given = replace(
        task(replace(container(), stop_timeout=500)),
        launch_type="FARGATE",
        network_mode="awsvpc",
        elastic_network_interfaces=(ENI,),
    )
    plan = plan_of(given)
    assert plan.sandbox.isolation == "userns"
    assert plan.sandbox.pids_max == FARGATE_PIDS_MAX
    assert plan.containers[0].stop_timeout_s == 120.0
    assert plan.containers[0].runtime_id.startswith(f"{ID}-")


def test_docker_settings_reach_the_container() -> None:
    host = docker.HostConfig(
        privileged=True,
        readonly_rootfs=True,
        cap_add=("NET_ADMIN",),
        cap_drop=("MKNOD",),
        ulimits=(docker.Ulimit(name="nofile", soft=1, hard=2),),
        init=True,
    )
    config = docker.Config(user="1000:1000", working_dir="/srv", hostname="h", labels={"a": "b"})
    spec = plan_of(task(container(host, config))).containers[0].spec
    assert (spec.privileged, spec.readonly_root, spec.init) == (True, True, True)
    assert (spec.capabilities_add, spec.capabilities_drop) == (("NET_ADMIN",), ("MKNOD",))
    assert spec.ulimits == (Ulimit(name="nofile", soft=1, hard=2),)
    assert (spec.user, spec.working_directory, spec.hostname) == ("1000:1000", "/srv", "h")


def test_the_region_is_offered_to_a_container_that_names_none() -> None:
    spec = plan_of(task(replace(container(), environment={"A": "1"}))).containers[0].spec
    assert dict(spec.environment) == {"A": "1"}
    assert dict(spec.default_environment) == {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def test_a_command_in_the_overrides_replaces_the_definitions() -> None:
    given = replace(container(), command=("a",), overrides='{"command":["b","c"]}')
    assert plan_of(task(given)).containers[0].spec.command == ("b", "c")


def test_awslogs_options_say_where_the_output_goes() -> None:
    options = {"awslogs-group": "/g", "awslogs-region": "eu-west-1", "awslogs-stream": "p/app/t"}
    log = docker.LogConfig(type="awslogs", config=options | {"awslogs-create-group": "true", "mode": "non-blocking"})
    plan = plan_of(task(container(docker.HostConfig(log_config=log))))
    expected = LogPlan(group="/g", stream="p/app/t", region="eu-west-1", create_group=True)
    assert plan.containers[0].log == expected


def test_a_stream_without_a_prefix_is_named_by_the_containers_id() -> None:
    log = docker.LogConfig(type="awslogs", config={"awslogs-group": "/g"})
    part = plan_of(task(container(docker.HostConfig(log_config=log)))).containers[0]
    assert part.log == LogPlan(group="/g", stream=part.runtime_id, region="us-east-1")
    assert len(part.runtime_id) == 64


def _log(kind: str, **options: str) -> acs.Container:
    config = {name.replace("_", "-"): value for name, value in options.items()}
    return container(docker.HostConfig(log_config=docker.LogConfig(type=kind, config=config)))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (replace(task(), arn="arn:aws:ecs:r:a:task/lab/../../etc"), "is not 32 hexadecimal digits"),
        (replace(task(), containers=()), "has no containers"),
        (task(replace(container(), essential=False)), "no essential container"),
        (replace(task(), network_mode="awsvpc"), "one network interface, not 0"),
        (replace(task(), associations=(acs.Unread(),)), "the task asks for associations"),
        (replace(task(), overrides='{"a":1}'), "task overrides"),
        (task(replace(container(), health_check_type="docker")), "container app asks for a docker health check"),
        (
            task(replace(container(config=NO_COMMAND), health_check_type="docker")),
            "container app has a health check that says ['NONE'], which is no command",
        ),
        (task(replace(container(), overrides='{"cpu":1}')), "cpu"),
        (task(container(docker.HostConfig(network_mode="host"))), "names network mode host, its task bridge"),
        (task(_log("splunk")), "log driver splunk"),
        (task(_log("json-file", max_size="1m")), "takes no options"),
        (task(_log("awslogs")), "must specify a value for log opt 'awslogs-group'"),
        (task(_log("awslogs", awslogs_group="g", awslogs_datetime_format="%Y")), "awslogs-datetime-format"),
        (task(replace(container(), docker_config=acs.DockerConfig(host_config='{"CpusetCpus":"1}'))), "CpusetCpus"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(given: acs.Task, why: str) -> None:
    reason = refusal_of(given)
    assert reason.startswith("UnrecogniedTaskError: Error loading task - ")
    assert why in reason


def test_one_bad_task_does_not_keep_the_others_from_running() -> None:
    other = replace(task(), arn=ARN.replace("4c", "5d"))
    plans, refusals = read(replace(task(), containers=()), other)
    assert [plan.arn for plan in plans] == [other.arn]
    assert len(refusals) == 1
