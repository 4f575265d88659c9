"""What the agent must be able to do follows from what the definition says."""

from __future__ import annotations

import pytest

from tests.unit.rules.drafts import FARGATE, ROLE, a_part, registered

AWSLOGS = {
    "logDriver": "awslogs",
    "options": {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"},
}
ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1"


def test_a_plain_task_asks_for_nothing() -> None:
    assert registered().requires_attributes == ()


def test_a_fargate_task_with_logs_and_a_private_image_asks_as_ecs_does() -> None:
    definition = registered(a_part(image=ECR, logConfiguration=AWSLOGS), executionRoleArn=ROLE, **FARGATE)
    assert set(definition.requires_attributes) == {
        "com.amazonaws.ecs.capability.docker-remote-api.1.18",
        "com.amazonaws.ecs.capability.docker-remote-api.1.19",
        "com.amazonaws.ecs.capability.ecr-auth",
        "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "ecs.capability.execution-role-awslogs",
        "ecs.capability.execution-role-ecr-pull",
        "ecs.capability.task-cpu-mem-limit",
        "ecs.capability.task-eni",
    }


@pytest.mark.parametrize(
    ("part", "task", "name"),
    [
        ({"privileged": True}, {}, "com.amazonaws.ecs.capability.privileged-container"),
        ({"memoryReservation": 32}, {}, "com.amazonaws.ecs.capability.docker-remote-api.1.21"),
        ({"dockerLabels": {"a": "b"}}, {}, "com.amazonaws.ecs.capability.docker-remote-api.1.18"),
        (
            {"linuxParameters": {"initProcessEnabled": True}},
            {},
            "com.amazonaws.ecs.capability.docker-remote-api.1.25",
        ),
        ({}, {"taskRoleArn": ROLE}, "com.amazonaws.ecs.capability.task-iam-role"),
        (
            {},
            {"taskRoleArn": ROLE, "networkMode": "host"},
            "com.amazonaws.ecs.capability.task-iam-role-network-host",
        ),
        ({}, {"cpu": "11 vCPU"}, "ecs.capability.increased-task-cpu-limit"),
        (
            {"logConfiguration": {"logDriver": "json-file"}},
            {},
            "com.amazonaws.ecs.capability.logging-driver.json-file",
        ),
    ],
)
def test_a_setting_asks_for_its_attribute(part: dict[str, object], task: dict[str, object], name: str) -> None:
    names = registered(a_part(**part), **task).requires_attributes
    assert name in names
    assert len(set(names)) == len(names)
