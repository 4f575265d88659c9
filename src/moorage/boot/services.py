"""The services of the API, by botocore's names: the one place where they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from moorage.api import ec2, ecs, logs, sts
from moorage.api.call import Operation

SERVICES: Final[Mapping[str, Mapping[str, Operation]]] = {
    "ec2": ec2.OPERATIONS,
    "ecs": ecs.OPERATIONS,
    "logs": logs.OPERATIONS,
    "sts": sts.OPERATIONS,
}
