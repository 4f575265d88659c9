"""What a registration may say of one container."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import a_part, refusal, registered


def test_what_is_not_said_gets_its_default() -> None:
    (part,) = registered(a_part()).containers
    assert (part.cpu, part.essential, part.port_mappings, part.environment) == (0, True, (), ())
    assert (part.mount_points, part.volumes_from, part.system_controls) == ((), (), ())
    assert part.command is None


@pytest.mark.parametrize("member", ["name", "image"])
@pytest.mark.parametrize("value", [None, ""])
def test_name_and_image_must_be_said(member: str, value: str | None) -> None:
    assert refusal(a_part(**{member: value})) == f"Container.{member} should not be null or empty."


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 256])
def test_a_container_name_has_only_plain_characters(name: str) -> None:
    assert refusal(a_part(name=name)).startswith("Invalid container name")


@pytest.mark.parametrize(
    "image",
    ["nginx", "nginx:1.27", "registry:5000/team/app:v1", "app@sha256:" + "0" * 64, "public.ecr.aws/x/y:latest"],
)
def test_images_are_named_as_registries_name_them(image: str) -> None:
    assert registered(a_part(image=image)).containers[0].image == image


@pytest.mark.parametrize("image", ["my image", "app@sha256:12", "-x", "a" * 256, "app@md5:1"])
def test_what_names_no_image_is_refused(image: str) -> None:
    assert refusal(a_part(image=image)).startswith("Invalid setting for container 'app'. The image")


def test_without_a_task_size_each_container_says_its_memory() -> None:
    assert refusal(a_part(), a_part(name="side", memory=None)) == (
        "Invalid setting for container 'side'. At least one of 'memory' or 'memoryReservation' must be specified."
    )
    assert registered(a_part(memory=None, memoryReservation=64))
    assert registered(a_part(memory=None), memory="128")


@pytest.mark.parametrize("members", [{"memory": 3}, {"memory": -1}, {"memoryReservation": 0}])
def test_a_container_has_memory_to_live_in(members: dict[str, int]) -> None:
    assert "must be at least 4 MiB" in refusal(a_part(**members))


def test_the_hard_limit_is_not_below_the_soft_one() -> None:
    assert "'memory' must not be less" in refusal(a_part(memory=64, memoryReservation=65))


@pytest.mark.parametrize("cpu", [-1, 262_145])
def test_container_cpu_has_bounds(cpu: int) -> None:
    assert "'cpu' must be between" in refusal(a_part(cpu=cpu))


@pytest.mark.parametrize("user", ["root", "1000", "www-data", "1000:1000", "app:1000", "0:staff", "_x.y"])
def test_users_come_in_six_forms(user: str) -> None:
    assert registered(a_part(user=user)).containers[0].user == user


@pytest.mark.parametrize("user", [":", "a:b:c", "-x", "4294967295", "a b", "1000:", "root:4294967296"])
def test_other_users_are_refused(user: str) -> None:
    assert "'user' must be" in refusal(a_part(user=user))


@pytest.mark.parametrize("name", ["", "A=B", None])
def test_environment_variables_have_names(name: str | None) -> None:
    assert "environment variable's name" in refusal(a_part(environment=[{"name": name, "value": "x"}]))


def test_an_environment_variable_may_be_empty() -> None:
    assert registered(a_part(environment=[{"name": "A"}])).containers[0].environment[0].value == ""


def test_a_host_name_needs_a_network_of_dockers_kind() -> None:
    assert registered(a_part(hostname="web-1")).containers[0].hostname == "web-1"
    assert refusal(a_part(hostname="web-1"), networkMode="awsvpc") == (
        "Hostname is not supported on container when networkMode=awsvpc."
    )
    assert "'hostname' must be" in refusal(a_part(hostname="x" * 65))


@pytest.mark.parametrize(
    ("ulimit", "why"),
    [
        ({"name": "files", "softLimit": 1, "hardLimit": 1}, "Unknown ulimit 'files'."),
        ({"name": "nofile", "softLimit": 2, "hardLimit": 1}, "soft limit above"),
        ({"name": "nofile", "softLimit": -1, "hardLimit": 1}, "soft limit above"),
        ({"name": "nofile", "softLimit": 0, "hardLimit": -2}, "not be less than -1"),
    ],
)
def test_ulimits_that_cannot_be_set_are_refused(ulimit: dict[str, object], why: str) -> None:
    assert why in refusal(a_part(ulimits=[ulimit]))


def test_a_ulimit_is_set_once_and_may_be_unlimited() -> None:
    unlimited = {"name": "memlock", "softLimit": -1, "hardLimit": -1}
    assert registered(a_part(ulimits=[unlimited]))
    assert "more than once" in refusal(a_part(ulimits=[unlimited, unlimited]))


def test_capabilities_bear_dockers_names() -> None:
    assert registered(a_part(linuxParameters={"capabilities": {"add": ["SYS_TIME"], "drop": ["ALL"]}}))
    assert "'CAP_SYS_TIME'" in refusal(a_part(linuxParameters={"capabilities": {"add": ["CAP_SYS_TIME"]}}))


def test_stopping_takes_no_negative_time() -> None:
    assert "'stopTimeout'" in refusal(a_part(stopTimeout=-1))


def _log(driver: str = "awslogs", **options: str) -> dict[str, object]:
    spelled = {name.replace("_", "-"): value for name, value in options.items()}
    return a_part(logConfiguration={"logDriver": driver, "options": spelled})


def test_awslogs_needs_a_group_and_a_region() -> None:
    assert refusal(_log()) == "Log driver awslogs requires options: awslogs-region, awslogs-group"
    assert registered(_log(awslogs_group="g", awslogs_region="us-east-1"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"awslogs_colour": "red"}, "disallows options: awslogs-colour"),
        ({"awslogs_datetime_format": "%Y"}, "does not support options yet: awslogs-datetime-format"),
        ({"awslogs_create_group": "yes"}, "awslogs-create-group to be true or false"),
        ({"mode": "fast"}, "mode to be blocking or non-blocking"),
        ({"mode": "blocking"}, "does not support mode blocking"),
        ({"max_buffer_size": "big"}, "max-buffer-size to be a size"),
        ({"max_buffer_size": "65m"}, "max-buffer-size to be at most 64m"),
    ],
)
def test_options_that_awslogs_has_not_are_refused(options: dict[str, str], why: str) -> None:
    assert why in refusal(_log(awslogs_group="g", awslogs_region="us-east-1", **options))


def test_a_buffer_is_as_large_as_asked_or_larger() -> None:
    options = {"mode": "non-blocking", "max_buffer_size": "64MB"}
    assert registered(_log(awslogs_group="g", awslogs_region="us-east-1", **options))


def test_log_drivers_are_those_of_ecs() -> None:
    assert registered(_log("json-file"))
    assert refusal(_log("carrier-pigeon")) == "Unknown log driver 'carrier-pigeon'."
    assert "firelensConfiguration" in refusal(_log("awsfirelens"))
