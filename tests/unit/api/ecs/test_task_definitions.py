"""Task definitions are registered, described, retired and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.support import ACCOUNT, NOW_S, later, make_call

ARN = "arn:aws:ecs:us-east-1:123456789012:task-definition/"
PART: dict[str, Any] = {"name": "app", "image": "busybox", "memory": 64}


def _register(call: Call, family: str = "web", **members: object) -> Any:
    return ask(call, "RegisterTaskDefinition", family=family, containerDefinitions=[PART], **members)


def test_a_registration_is_answered_complete() -> None:
    answer = _register(make_call())
    assert answer == {
        "taskDefinition": {
            "taskDefinitionArn": ARN + "web:1",
            "family": "web",
            "revision": 1,
            "status": "ACTIVE",
            "containerDefinitions": [
                PART
                | {
                    "cpu": 0,
                    "essential": True,
                    "portMappings": [],
                    "environment": [],
                    "mountPoints": [],
                    "volumesFrom": [],
                    "systemControls": [],
                }
            ],
            "volumes": [],
            "placementConstraints": [],
            "requiresAttributes": [],
            "compatibilities": ["EXTERNAL", "EC2", "MANAGED_INSTANCES"],
            "registeredAt": NOW_S,
            "registeredBy": f"arn:aws:iam::{ACCOUNT}:root",
        },
        "tags": [],
    }


def test_what_was_registered_is_described() -> None:
    call = make_call()
    part = PART | {
        "command": ["sh", "-c", "exit 3"],
        "environment": [{"name": "A", "value": "b"}],
        "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp", "name": "web"}],
        "linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"], "drop": []}, "initProcessEnabled": True},
        "dockerLabels": {"a": "b"},
        "mountPoints": [],
        "stopTimeout": 5,
    }
    asked = {
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": ".25 vCPU",
        "memory": "0.5GB",
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
    }
    registered = ask(call, "RegisterTaskDefinition", family="web", containerDefinitions=[part], **asked)
    described = ask(call, "DescribeTaskDefinition", taskDefinition="web")
    assert described == registered
    told = described["taskDefinition"]
    assert {name: told[name] for name in asked} == asked | {"cpu": "256", "memory": "512"}
    assert {name: told["containerDefinitions"][0][name] for name in part} == part


def test_each_registration_is_a_new_revision() -> None:
    call = make_call()
    revisions = [_register(call)["taskDefinition"]["revision"] for _ in range(3)]
    assert revisions == [1, 2, 3]
    assert _register(call, "other")["taskDefinition"]["revision"] == 1


def test_a_refused_registration_takes_no_number() -> None:
    call = make_call()
    with pytest.raises(Refused, match="ClientException"):
        _register(call, cpu="lots")
    assert _register(call)["taskDefinition"]["revision"] == 1


def test_tags_are_told_when_asked_for() -> None:
    call = make_call()
    tags = [{"key": "team", "value": "blue"}]
    assert _register(call, tags=tags)["tags"] == tags
    assert ask(call, "DescribeTaskDefinition", taskDefinition="web")["tags"] == []
    assert ask(call, "DescribeTaskDefinition", taskDefinition="web", include=["TAGS"])["tags"] == tags


@pytest.mark.parametrize("name", ["web", "web:2", ARN + "web:2", ARN + "web"])
def test_a_definition_is_found_by_family_revision_and_arn(name: str) -> None:
    call = make_call()
    _register(call)
    _register(call)
    assert ask(call, "DescribeTaskDefinition", taskDefinition=name)["taskDefinition"]["revision"] == 2


@pytest.mark.parametrize(
    "name",
    ["gone", "web:7", ARN + "web:7", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1", ARN, "arn:x", ""],
)
def test_what_is_not_there_cannot_be_described(name: str) -> None:
    call = make_call()
    _register(call)
    with pytest.raises(Refused, match=r"ClientException: Unable to describe task definition\."):
        ask(call, "DescribeTaskDefinition", taskDefinition=name)


@pytest.mark.parametrize("revision", ["x", "0", "-1", "9" * 10, "٣", ""])
def test_a_revision_is_a_number(revision: str) -> None:
    with pytest.raises(Refused, match=f"ClientException: Invalid revision number. Number: {revision}"):
        ask(make_call(), "DescribeTaskDefinition", taskDefinition=f"web:{revision}")


def test_a_retired_revision_is_still_described_but_no_longer_the_latest() -> None:
    call = make_call()
    _register(call)
    _register(call)
    retired = ask(later(call, 5), "DeregisterTaskDefinition", taskDefinition="web:2")["taskDefinition"]
    assert (retired["status"], retired["deregisteredAt"]) == ("INACTIVE", NOW_S + 5)
    assert ask(later(call, 9), "DeregisterTaskDefinition", taskDefinition="web:2")["taskDefinition"] == retired
    assert ask(call, "DescribeTaskDefinition", taskDefinition="web:2")["taskDefinition"] == retired
    assert ask(call, "DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["revision"] == 1


def test_retiring_names_a_revision() -> None:
    call = make_call()
    _register(call)
    with pytest.raises(Refused, match=r"ClientException: Revision is missing\."):
        ask(call, "DeregisterTaskDefinition", taskDefinition="web")
    with pytest.raises(Refused, match="ClientException"):
        ask(call, "DeregisterTaskDefinition", taskDefinition="web:9")


def test_only_retired_revisions_are_deleted() -> None:
    call = make_call()
    _register(call)
    _register(call)
    ask(call, "DeregisterTaskDefinition", taskDefinition="web:1")
    answer = ask(later(call, 1), "DeleteTaskDefinitions", taskDefinitions=["web:1", "web:2", "web:3"])
    (deleted,) = answer["taskDefinitions"]
    assert (deleted["status"], deleted["deleteRequestedAt"]) == ("DELETE_IN_PROGRESS", NOW_S + 1)
    assert [failure["arn"] for failure in answer["failures"]] == [ARN + "web:2", ARN + "web:3"]
    assert "still in ACTIVE status" in answer["failures"][0]["reason"]
    assert "does not exist" in answer["failures"][1]["reason"]


def test_deleting_has_a_limit_and_needs_revisions() -> None:
    call = make_call()
    with pytest.raises(Refused, match="InvalidParameterException: At most 10"):
        ask(call, "DeleteTaskDefinitions", taskDefinitions=[f"web:{number}" for number in range(1, 12)])
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(call, "DeleteTaskDefinitions", taskDefinitions=[])
    with pytest.raises(Refused, match="Revision is missing"):
        ask(call, "DeleteTaskDefinitions", taskDefinitions=["web"])


def test_a_number_is_never_given_out_twice() -> None:
    call = make_call()
    definition = _register(call)["taskDefinition"]
    with call.store.update() as tx:
        tx.task_definitions.delete(definition["taskDefinitionArn"])
    assert _register(call)["taskDefinition"]["revision"] == 2


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("secrets", [{"name": "A", "valueFrom": "arn:aws:ssm:x"}]),
        ("environmentFiles", [{"type": "s3", "value": "arn:aws:s3:::b/k"}]),
        ("credentialSpecs", ["credentialspec:x"]),
    ],
)
def test_what_a_node_cannot_do_yet_is_refused_by_name(member: str, value: object) -> None:
    with pytest.raises(Refused, match=rf"containerDefinitions\[0\]\.{member}.* not supported"):
        ask(make_call(), "RegisterTaskDefinition", family="web", containerDefinitions=[PART | {member: value}])


def test_what_says_nothing_is_taken() -> None:
    nothing: dict[str, object] = {
        "links": [],
        "secrets": [],
        "dependsOn": [],
        "dnsServers": [],
        "interactive": False,
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
    }
    part = PART | nothing
    answer = ask(
        make_call(),
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[part],
        volumes=[],
        placementConstraints=[],
        enableFaultInjection=False,
    )
    assert answer["taskDefinition"]["volumes"] == []
