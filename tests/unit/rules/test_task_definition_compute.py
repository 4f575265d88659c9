"""Which compute a definition fits, and in whose words it is refused where it does not."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import FARGATE, ROLE, a_part, refusal, registered

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1"
AWSLOGS = {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}


def test_a_bridge_task_fits_all_but_fargate() -> None:
    assert registered().compatibilities == ("EXTERNAL", "EC2", "MANAGED_INSTANCES")


def test_a_fargate_task_fits_what_has_interfaces_to_give() -> None:
    assert registered(**FARGATE).compatibilities == ("EC2", "FARGATE", "MANAGED_INSTANCES")


def test_fargate_is_found_fit_without_being_asked_for() -> None:
    definition = registered(networkMode="awsvpc", cpu="256", memory="512")
    assert "FARGATE" in definition.compatibilities
    assert definition.requires_compatibilities is None


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"networkMode": None}, "Fargate only supports network mode ‘awsvpc’."),
        ({"networkMode": "bridge"}, "Fargate only supports network mode ‘awsvpc’."),
        ({"cpu": None}, "Fargate requires that 'cpu' be defined at the task level."),
        ({"memory": None}, "Fargate requires that 'memory' be defined at the task level."),
        ({"cpu": "300"}, "Invalid 'cpu' setting for task."),
        ({"memory": "4096"}, "No Fargate configuration exists for given values."),
    ],
)
def test_fargate_takes_only_its_sizes_and_its_network(members: dict[str, object], why: str) -> None:
    assert refusal(**(FARGATE | members)) == why


def test_fargate_speaks_before_the_containers_do() -> None:
    assert refusal(a_part(memory=None, image=None), **(FARGATE | {"cpu": None})).startswith("Fargate requires")


def test_fargate_needs_a_role_to_pull_and_to_log() -> None:
    logging = a_part(logConfiguration={"logDriver": "awslogs", "options": AWSLOGS})
    assert refusal(a_part(image=ECR), **FARGATE) == (
        "Fargate requires task definition to have execution role ARN to support ECR images."
    )
    assert refusal(logging, **FARGATE) == (
        "Fargate requires task definition to have execution role ARN to support log driver awslogs."
    )
    assert registered(a_part(image=ECR), logging | {"name": "side"}, executionRoleArn=ROLE, **FARGATE)


def test_fargate_needs_a_stream_prefix() -> None:
    options = {name: value for name, value in AWSLOGS.items() if name != "awslogs-stream-prefix"}
    part = a_part(logConfiguration={"logDriver": "awslogs", "options": options})
    assert refusal(part, executionRoleArn=ROLE, **FARGATE).endswith("awslogs-stream-prefix")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"privileged": True}, "privileged"),
        ({"ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}]}, "ulimit 'core'"),
        ({"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}}, "'NET_ADMIN'"),
        ({"stopTimeout": 121}, "stopTimeout of 121"),
        ({"stopTimeout": 1}, "stopTimeout of 1 "),
        ({"logConfiguration": {"logDriver": "json-file"}}, "log driver 'json-file'"),
    ],
)
def test_what_touches_the_host_is_not_fargates(members: dict[str, object], why: str) -> None:
    text = refusal(a_part(**members), **FARGATE)
    assert text.startswith("Tasks using the Fargate launch type do not support")
    assert why in text
    assert "FARGATE" not in registered(a_part(**members)).compatibilities


def test_what_stays_inside_is_fargates() -> None:
    part = a_part(
        linuxParameters={"capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}, "initProcessEnabled": True},
        ulimits=[{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
        stopTimeout=120,
        readonlyRootFilesystem=True,
        user="1000:1000",
    )
    assert "FARGATE" in registered(part, **FARGATE).compatibilities


@pytest.mark.parametrize(
    ("platform", "why"),
    [
        ({"operatingSystemFamily": "WINDOWS_SERVER_2016_FULL"}, "WINDOWS_SERVER_2016_FULL"),
        ({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "ARM64"}, "Windows on ARM64"),
    ],
)
def test_fargate_knows_some_windows_only(platform: dict[str, str], why: str) -> None:
    large = FARGATE | {"cpu": "1024", "memory": "2048"}
    assert why in refusal(runtimePlatform=platform, **large)


def test_windows_is_too_large_for_small_fargate_tasks() -> None:
    windows = {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}
    assert refusal(runtimePlatform=windows, **FARGATE) == "Invalid 'cpu' setting for task."


def test_external_instances_have_no_interfaces_to_give() -> None:
    assert "awsvpc" in refusal(requiresCompatibilities=["EXTERNAL"], networkMode="awsvpc")
    assert registered(requiresCompatibilities=["EXTERNAL"]).requires_compatibilities == ("EXTERNAL",)


def test_managed_instances_log_in_few_ways() -> None:
    part = a_part(logConfiguration={"logDriver": "syslog"})
    assert "syslog" in refusal(part, requiresCompatibilities=["MANAGED_INSTANCES"])
    assert registered(part).compatibilities == ("EXTERNAL", "EC2")


def test_every_compute_that_is_asked_for_must_fit() -> None:
    both = FARGATE | {"requiresCompatibilities": ["EC2", "FARGATE"]}
    assert "privileged" in refusal(a_part(privileged=True), **both)
    assert registered(**both).requires_compatibilities == ("EC2", "FARGATE")
