"""Registrations for tests: the smallest that is right, and what the test puts on top."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moorage.model.task_definition import Definition
from moorage.rules.task_definitions import definition_of
from moorage.rules.task_definitions_draft import Draft, InvalidDefinition

ROLE = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"
FARGATE: dict[str, Any] = {
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
}


def a_part(**members: object) -> dict[str, object]:
    return {"name": "app", "image": "busybox", "memory": 64} | members


def registered(*parts: dict[str, object], **members: object) -> Definition:
    """The definition that comes of a registration with these container definitions and members."""
    request = {"family": "web", "containerDefinitions": list(parts) or [a_part()]} | members
    return definition_of(msgspec.convert(request, Draft))


def refusal(*parts: dict[str, object], **members: object) -> str:
    """Why such a registration is refused."""
    with pytest.raises(InvalidDefinition) as caught:
        registered(*parts, **members)
    assert caught.value.code == "ClientException"
    return caught.value.message
