"""RunTask on container instances."""

from __future__ import annotations

import pytest

from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import add, define, installation
from tests.unit.records import SCOPE
from tests.unit.support import NOW_S


def test_a_task_is_written_as_its_definition_says() -> None:
    call = installation()
    define(call)
    answer = ask(call, "RunTask", taskDefinition="web", startedBy="me", tags=[{"key": "a", "value": "b"}])
    assert answer["failures"] == []
    (task,) = answer["tasks"]
    assert task["taskArn"].startswith(SCOPE.arn("ecs", "task/default/"))
    assert task["containerInstanceArn"] == SCOPE.arn("ecs", f"container-instance/default/{0:032x}")
    assert (task["lastStatus"], task["desiredStatus"], task["createdAt"]) == ("PENDING", "RUNNING", NOW_S)
    assert (task["group"], task["startedBy"], task["launchType"]) == ("family:web", "me", "EC2")
    assert (task["cpu"], task["memory"], task["availabilityZone"]) == ("128", "64", "us-east-1a")
    assert task["tags"] == [{"key": "a", "value": "b"}]
    assert task["attachments"] == []
    assert task["attributes"] == [{"name": "ecs.cpu-architecture", "value": "x86_64"}]
    assert task["overrides"] == {"containerOverrides": [{"name": "app"}], "inferenceAcceleratorOverrides": []}
    assert "platformVersion" not in task
    (container,) = task["containers"]
    assert container["containerArn"].startswith(SCOPE.arn("ecs", "container/default/"))
    assert (container["cpu"], container["memory"], container["lastStatus"]) == ("128", "64", "PENDING")
    assert container["networkBindings"] == container["networkInterfaces"] == []
    assert "exitCode" not in container


def test_what_fits_nowhere_comes_back_as_failures_that_explain_themselves() -> None:
    call = installation(instances=2)
    define(call, containerDefinitions=[{"name": "app", "image": "busybox", "memory": 3000}])
    answer = ask(call, "RunTask", taskDefinition="web", count=4)
    assert len(answer["tasks"]) == 2
    assert len(answer["failures"]) == 2
    failure = answer["failures"][0]
    assert failure["reason"] == "RESOURCE:MEMORY"
    assert failure["detail"] == "2 nodes: 2 lack memory"
    assert failure["arn"].startswith(SCOPE.arn("ecs", "container-instance/default/"))


def test_static_host_ports_are_reserved_and_dynamic_ones_are_not() -> None:
    call = installation()
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    container = {"name": "app", "image": "busybox", "memory": 64, "portMappings": ports}
    define(call, containerDefinitions=[container])
    answer = ask(call, "RunTask", taskDefinition="web", count=2)
    assert len(answer["tasks"]) == 1
    assert answer["failures"][0]["reason"] == "RESOURCE:PORTS"
    state = call.store.view()
    (task,) = state.tasks
    assert task.reserved.ports_tcp == (8080,)
    assert state.usage.of(task.instance).ports_tcp == (8080,)


def test_host_mode_takes_the_containers_ports_of_the_host() -> None:
    call = installation()
    container = {"name": "app", "image": "busybox", "memory": 64, "portMappings": [{"containerPort": 80}]}
    define(call, mode="host", containerDefinitions=[container])
    assert [len(ask(call, "RunTask", taskDefinition="web")["tasks"]) for _ in range(2)] == [1, 0]


def test_a_cluster_without_instances_is_told_so() -> None:
    call = installation(instances=0)
    define(call)
    with pytest.raises(Refused, match=r"No Container Instances were found in your cluster\."):
        ask(call, "RunTask", taskDefinition="web")


def test_distinct_instances() -> None:
    call = installation(instances=2)
    define(call)
    answer = ask(call, "RunTask", taskDefinition="web", count=3, placementConstraints=[{"type": "distinctInstance"}])
    assert len({task["containerInstanceArn"] for task in answer["tasks"]}) == len(answer["tasks"]) == 2
    assert answer["failures"][0]["reason"] == "DistinctInstance placement constraint unsatisfied."


def test_member_of_keeps_tasks_of_a_group_apart_even_within_a_call() -> None:
    call = installation(instances=3)
    define(call)
    apart = [{"type": "memberOf", "expression": "not task:group == lonely and attribute:ecs.os-type == linux"}]
    answer = ask(call, "RunTask", taskDefinition="web", count=4, group="lonely", placementConstraints=apart)
    assert len({task["containerInstanceArn"] for task in answer["tasks"]}) == len(answer["tasks"]) == 3
    (failure,) = answer["failures"]
    assert failure["reason"] == "MemberOf placement constraint unsatisfied."
    assert failure["detail"] == "3 nodes: 3 are outside the memberOf constraint"


def test_strategies_are_followed() -> None:
    call = installation(instances=2)
    small = add(call, "default", 7, memory=1000)
    define(call)
    strategy = [{"type": "binpack", "field": "memory"}]
    answer = ask(call, "RunTask", taskDefinition="web", count=3, placementStrategy=strategy)
    assert {task["containerInstanceArn"] for task in answer["tasks"]} == {small.arn}


def test_tags_are_propagated_and_ecs_adds_its_own() -> None:
    call = installation()
    define(call, tags=[{"key": "a", "value": "definition"}, {"key": "b", "value": "definition"}])
    answer = ask(
        call,
        "RunTask",
        taskDefinition="web",
        propagateTags="TASK_DEFINITION",
        enableECSManagedTags=True,
        tags=[{"key": "a", "value": "request"}],
    )
    tags = {tag["key"]: tag["value"] for tag in answer["tasks"][0]["tags"]}
    assert tags == {"a": "request", "b": "definition", "aws:ecs:clusterName": "default"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"count": 0}, "Count must be between 1 and 10."),
        ({"count": 11}, "Count must be between 1 and 10."),
        ({"launchType": "MOON"}, "The launch type 'MOON' is not valid; use EC2 or FARGATE."),
        ({"launchType": "EXTERNAL"}, "The launch type EXTERNAL is not supported by Moorage yet."),
        ({"launchType": "EC2", "platformVersion": "LATEST"}, "The platform version must be null"),
        ({"launchType": "FARGATE"}, "Task definition does not support launch_type FARGATE."),
        (
            {"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
            "Specify either Launch Type or Capacity Provider Strategy, but not both.",
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
            "The specified capacity provider strategy cannot contain a capacity provider that is not associated",
        ),
        ({"propagateTags": "SERVICE"}, "propagateTags must be TASK_DEFINITION or NONE"),
        ({"group": "service:x"}, "Invalid namespace for group"),
        ({"group": "x" * 256}, "group must be between 1 and 255"),
        ({"startedBy": "x" * 129}, "startedBy must be at most 128"),
        ({"clientToken": "a b"}, "clientToken must be 1 to 64"),
        ({"referenceId": "x" * 1025}, "referenceId must be at most 1024"),
        ({"placementConstraints": [{"type": "memberOf", "expression": "x == y"}]}, "'x' is no subject"),
        ({"placementConstraints": [{"type": "memberOf"}]}, "An expression must have 1 to 2000 characters."),
        ({"placementConstraints": [{"type": "near"}]}, "The placement constraint type 'near' is not valid."),
        ({"placementConstraints": [{"type": "distinctInstance", "expression": "x"}]}, "does not accept"),
        ({"placementStrategy": [{"type": "random"}] * 6}, "At most 5 placement strategies"),
        ({"tags": [{"key": "aws:x"}]}, "Tag keys starting with aws:"),
        ({"volumeConfigurations": [{"name": "x"}]}, "volumeConfigurations is not supported by Moorage yet."),
        ({"cluster": "nowhere"}, "Cluster not found."),
        ({"cluster": "moorage-fargate"}, "Cluster not found."),
        ({"taskDefinition": "nothing"}, "TaskDefinition not found."),
        ({"taskDefinition": ""}, "Task Definition can not be blank."),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}}, "is not valid for the given"),
    ],
)
def test_what_cannot_be_is_refused_and_writes_nothing(members: dict[str, object], message: str) -> None:
    call = installation()
    define(call)
    with pytest.raises(Refused) as refused:
        ask(call, "RunTask", **{"taskDefinition": "web", **members})
    assert message in refused.value.message
    assert not len(call.store.view().tasks)


def test_an_inactive_definition_starts_nothing() -> None:
    call = installation()
    name = define(call)
    ask(call, "DeregisterTaskDefinition", taskDefinition=name)
    with pytest.raises(Refused, match="TaskDefinition is inactive"):
        ask(call, "RunTask", taskDefinition=name)


def test_a_definition_with_a_task_role_is_kept_and_cannot_be_run_yet() -> None:
    call = installation()
    define(call, taskRoleArn="my-role")
    with pytest.raises(Refused, match="UnsupportedFeatureException: taskRoleArn is not supported by Moorage yet"):
        ask(call, "RunTask", taskDefinition="web")
