"""What a registration may say of the task as a whole."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import FARGATE, a_part, refusal, registered


def test_sizes_are_kept_as_units_and_mib() -> None:
    definition = registered(a_part(), cpu="1 vCPU", memory="2GB")
    assert (definition.cpu, definition.memory) == (1024, 2048)


@pytest.mark.parametrize("cpu", ["lots", "0", "127", "196609"])
def test_a_cpu_size_that_no_host_has_is_refused(cpu: str) -> None:
    assert refusal(cpu=cpu) == "Invalid 'cpu' setting for task."


@pytest.mark.parametrize("memory", ["plenty", "0", "3"])
def test_a_memory_size_that_no_host_has_is_refused(memory: str) -> None:
    assert refusal(a_part(memory=None), memory=memory) == "Invalid 'memory' setting for task."


@pytest.mark.parametrize("family", ["a b", "x" * 256, "a/b", "é"])
def test_a_family_has_only_plain_characters(family: str) -> None:
    assert refusal(family=family).startswith("Family contains invalid characters.")


def test_a_family_has_a_name() -> None:
    assert refusal(family="") == "Family should not be null or empty."


def test_there_is_at_least_one_container() -> None:
    assert refusal(containerDefinitions=[]) == "Container list cannot be empty."


def test_there_are_at_most_ten_containers() -> None:
    parts = [a_part(name=f"app{number}") for number in range(11)]
    assert registered(*parts[:10])
    assert refusal(*parts).startswith("Too many containers.")


def test_container_names_are_unique() -> None:
    assert refusal(a_part(), a_part()) == "The container name 'app' is used more than once in the task definition."


def test_one_container_is_essential() -> None:
    assert refusal(a_part(essential=False)) == "At least one container of a task definition must be essential."


def test_a_definition_has_at_most_64_kib() -> None:
    text = refusal(a_part(command=["x" * 65_536]))
    assert text.startswith("Actual length: '65")
    assert text.endswith("Max allowed length is '65536' bytes.")


def test_containers_fit_into_the_cpu_of_their_task() -> None:
    parts = [a_part(name="one", cpu=200), a_part(name="two", cpu=100)]
    assert refusal(*parts, cpu="256") == (
        "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."
    )


@pytest.mark.parametrize(
    "parts",
    [
        [a_part(memory=1024)],
        [a_part(memory=300), a_part(name="two", memory=300)],
        [a_part(memory=None, memoryReservation=600)],
    ],
)
def test_containers_fit_into_the_memory_of_their_task(parts: list[dict[str, object]]) -> None:
    assert refusal(*parts, memory="512") == "The 'memory' setting for container is greater than for the task"


def test_soft_limits_are_what_is_reserved() -> None:
    parts = [a_part(name=name, memory=400, memoryReservation=200) for name in ("one", "two")]
    assert registered(*parts, memory="512").memory == 512


@pytest.mark.parametrize("mode", ["awsvpc", "bridge", "host", "none"])
def test_every_network_mode_is_kept_as_given(mode: str) -> None:
    assert registered(networkMode=mode).network_mode == mode


def test_an_unknown_network_mode_is_refused() -> None:
    assert refusal(networkMode="overlay").startswith("Unknown networkMode 'overlay'")


def test_an_unknown_compatibility_is_refused() -> None:
    assert refusal(requiresCompatibilities=["LAMBDA"]).startswith("Unknown compatibility 'LAMBDA'")


def test_windows_and_foreign_architectures_are_taken_as_ecs_takes_them() -> None:
    platform = {"cpuArchitecture": "ARM64", "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}
    assert registered(runtimePlatform=platform).windows
    assert refusal(runtimePlatform={"cpuArchitecture": "MIPS"}).startswith("Unknown cpuArchitecture")
    assert refusal(runtimePlatform={"operatingSystemFamily": "BEOS"}).startswith("Unknown operatingSystemFamily")


@pytest.mark.parametrize("role", ["arn:aws:iam::123456789012:user/x", "arn:nonsense", "a/b", "x" * 2049])
def test_a_role_is_the_arn_or_the_name_of_a_role(role: str) -> None:
    assert refusal(executionRoleArn=role).startswith("Role is not valid")
    assert registered(taskRoleArn="my-role").task_role_arn == "my-role"


def test_a_definition_may_say_what_its_instances_must_be() -> None:
    near = {"type": "memberOf", "expression": "attribute:ecs.instance-type =~ t3.*"}
    (constraint,) = registered(placementConstraints=[near]).placement_constraints
    assert (constraint.type, constraint.expression) == (near["type"], near["expression"])
    assert registered(placementConstraints=[near]).compatibilities == ("EXTERNAL", "EC2", "MANAGED_INSTANCES")


@pytest.mark.parametrize(
    ("constraints", "why"),
    [
        ([{"type": "distinctInstance"}], "Invalid placement constraint type 'distinctInstance'; use memberOf."),
        ([{"expression": "agentConnected == true"}], "Invalid placement constraint type ''; use memberOf."),
        ([{"type": "memberOf"}], "An expression must have 1 to 2000 characters."),
        ([{"type": "memberOf", "expression": "colour == red"}], "'colour' is no subject"),
        ([{"type": "memberOf", "expression": "agentConnected == true"}] * 11, "at most 10 placement constraints"),
    ],
)
def test_placement_constraints_that_cannot_be_are_refused(constraints: list[dict[str, str]], why: str) -> None:
    assert why in refusal(placementConstraints=constraints)


def test_fargate_has_no_instances_to_be_told_of() -> None:
    here = [{"type": "memberOf", "expression": "agentConnected == true"}]
    assert refusal(placementConstraints=here, **FARGATE).endswith("do not support placement constraints.")


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 pair"])
def test_text_that_no_process_can_be_given_is_refused(text: str) -> None:
    assert "NUL" in refusal(a_part(command=[text]))


def test_numbers_beyond_32_bits_are_refused() -> None:
    assert refusal(a_part(cpu=2**31)).startswith("Integers in a task definition")
    assert refusal(a_part(memory=10**400)).startswith("Integers in a task definition")


def test_ephemeral_storage_is_a_size_on_fargate() -> None:
    definition = registered(ephemeralStorage={"sizeInGiB": 21}, **FARGATE)
    assert definition.ephemeral_storage is not None
    assert definition.compatibilities == ("FARGATE",)
    for size in (20, 201):
        assert "must be between 21 and 200" in refusal(ephemeralStorage={"sizeInGiB": size}, **FARGATE)
    assert "only by tasks that use the Fargate launch type" in refusal(ephemeralStorage={"sizeInGiB": 21})
