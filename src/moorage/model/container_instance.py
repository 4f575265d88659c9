"""Container instances: hosts that an agent has registered. Source: ECS API, data type ContainerInstance."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import AccountId, ClusterArn, ContainerInstanceArn, Region
from moorage.model.tags import Tags

InstanceStatus = Literal["ACTIVE", "DRAINING", "INACTIVE"]


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str | None = None


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of what placement hands out: cpu in units (1024 per vCPU), memory in MiB, host ports."""

    cpu: int = 0
    memory: int = 0
    ports_tcp: tuple[int, ...] = ()
    ports_udp: tuple[int, ...] = ()


class ContainerInstance(msgspec.Struct, frozen=True, kw_only=True):
    """`registered` holds the whole of the host; its ports are the reserved ones, taken from the start.

    Written by the agent's registration and by its session (agent_connected, agent_version), and by
    UpdateContainerInstancesState (status); by nobody else.
    """

    arn: ContainerInstanceArn
    id: str
    account: AccountId
    region: Region
    cluster: ClusterArn
    status: InstanceStatus = "ACTIVE"
    status_reason: str | None = None
    agent_connected: bool = False
    disconnected_at: float | None = None
    agent_version: str | None = None
    agent_hash: str | None = None
    docker_version: str | None = None
    ec2_instance_id: str | None = None  # from the identity document, where the host has one
    registered: Resources
    attributes: tuple[Attribute, ...] = ()
    tags: Tags = ()
    registered_at: float
    version: int = 1
    fargate: bool = False  # part of the Fargate fleet: never shown, never placed on by name

    def attribute(self, name: str) -> str | None:
        """The value of an attribute; "" for one that has no value, None where it is not set."""
        return next((a.value or "" for a in self.attributes if a.name == name), None)

    @property
    def availability_zone(self) -> str | None:
        return self.attribute("ecs.availability-zone")
