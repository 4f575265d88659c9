"""Overrides: what a task is run with instead of what its definition says."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import awsvpc, define, define_fargate, installation


def test_overrides_are_told_for_every_container_and_count_for_the_room() -> None:
    call = installation()
    parts = [{"name": name, "image": "busybox", "cpu": 100, "memory": 64} for name in ("app", "log")]
    define(call, containerDefinitions=parts)
    given = {
        "name": "app",
        "command": ["true"],
        "environment": [{"name": "A", "value": "b"}],
        "cpu": 200,
        "memory": 128,
        "memoryReservation": 100,
    }
    task = ask(call, "RunTask", taskDefinition="web", overrides={"containerOverrides": [given]})["tasks"][0]
    assert task["overrides"]["containerOverrides"] == [given, {"name": "log"}]
    assert [one["cpu"] for one in task["containers"]] == ["200", "100"]
    assert task["containers"][0]["memoryReservation"] == "100"
    (record,) = call.store.view().tasks
    assert (record.reserved.cpu, record.reserved.memory) == (300, 164)


def test_a_task_size_may_be_given_in_words() -> None:
    call = installation()
    define(call)
    task = ask(call, "RunTask", taskDefinition="web", overrides={"cpu": "1 vCPU", "memory": "2 GB"})["tasks"][0]
    assert (task["cpu"], task["memory"]) == ("1024", "2048")
    assert (task["overrides"]["cpu"], task["overrides"]["memory"]) == ("1 vCPU", "2 GB")


def test_fargate_sizes_hold_for_overrides_too() -> None:
    call = installation(hosts=1)
    define_fargate(call)
    run = {"taskDefinition": "fargate", "launchType": "FARGATE", "networkConfiguration": awsvpc()}
    task = ask(call, "RunTask", **run, overrides={"cpu": "512", "memory": "1024"})["tasks"][0]
    assert (task["cpu"], task["memory"]) == ("512", "1024")
    with pytest.raises(Refused, match="No Fargate configuration exists for given values") as refused:
        ask(call, "RunTask", **run, overrides={"cpu": "512", "memory": "8192"})
    assert refused.value.code == "ClientException"


def test_what_an_override_asks_of_the_agent_counts_for_placement() -> None:
    call = installation()
    define(call, containerDefinitions=[{"name": "app", "image": "busybox", "memory": 64}])
    (host,) = call.store.view().container_instances
    with call.store.update() as tx:
        kept = tuple(one for one in host.attributes if not one.name.endswith("docker-remote-api.1.21"))
        tx.container_instances.put(replace(host, attributes=kept))
    assert ask(call, "RunTask", taskDefinition="web")["tasks"]
    soft = {"containerOverrides": [{"name": "app", "memoryReservation": 32}]}
    (failure,) = ask(call, "RunTask", taskDefinition="web", overrides=soft)["failures"]
    assert failure["reason"] == "ATTRIBUTE"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"containerOverrides": [{"name": "x"}]}, "Override for container named x is not a container in the"),
        ({"containerOverrides": [{"name": "app"}] * 2}, "more than one override"),
        ({"containerOverrides": [{"name": "app", "memory": 3}]}, "'memory' must be between 4"),
        ({"containerOverrides": [{"name": "app", "memoryReservation": 65}]}, "must not be less than"),
        ({"containerOverrides": [{"name": "app", "cpu": -1}]}, "'cpu' must be between 0"),
        ({"containerOverrides": [{"name": "app", "command": ["x" * 8200]}]}, "length must be at most 8192"),
        ({"containerOverrides": [{"name": "app", "command": ["\0"]}]}, "the character NUL"),
        ({"containerOverrides": [{"name": "app", "environment": [{"name": "", "value": "x"}]}]}, "must not be empty"),
        ({"containerOverrides": [{"name": "app", "resourceRequirements": [{"type": "GPU"}]}]}, "not supported"),
        ({"ephemeralStorage": {"sizeInGiB": 30}}, "overrides.ephemeralStorage is not supported by Moorage yet."),
        ({"taskRoleArn": "my-role"}, "overrides.taskRoleArn is not supported by Moorage yet"),
        ({"cpu": "much"}, "Invalid 'cpu' setting for task."),
        ({"cpu": "64"}, "Invalid 'cpu' setting for task."),
        ({"cpu": "128", "containerOverrides": [{"name": "app", "cpu": 256}]}, "The sum of the 'cpu'"),
        ({"memory": "32"}, "The sum of the 'memory'"),
    ],
)
def test_overrides_that_cannot_be_are_refused(overrides: dict[str, object], message: str) -> None:
    call = installation()
    define(call)
    with pytest.raises(Refused) as refused:
        ask(call, "RunTask", taskDefinition="web", overrides=overrides)
    assert message in refused.value.message
