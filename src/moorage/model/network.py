"""The VPC and what lies in it. Source: EC2 API, data types Vpc, Subnet, SecurityGroup, NetworkInterface."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import AccountId, NetworkInterfaceId, Region, SecurityGroupId, SubnetId, VpcId
from moorage.model.tags import Tags


class Vpc(msgspec.Struct, frozen=True, kw_only=True):
    id: VpcId
    account: AccountId
    region: Region
    cidr: str
    is_default: bool = False
    tags: Tags = ()


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    id: SubnetId
    account: AccountId
    region: Region
    vpc: VpcId
    cidr: str
    availability_zone: str
    availability_zone_id: str
    default_for_az: bool = False
    map_public_ip_on_launch: bool = False
    tags: Tags = ()


class SecurityGroupRule(msgspec.Struct, frozen=True, kw_only=True):
    """One source or destination of one permission; exactly one of `cidr` and `group` is set."""

    id: str
    egress: bool
    protocol: str  # "-1" is all
    from_port: int | None = None
    to_port: int | None = None
    cidr: str | None = None
    group: SecurityGroupId | None = None
    description: str | None = None


class SecurityGroup(msgspec.Struct, frozen=True, kw_only=True):
    id: SecurityGroupId
    account: AccountId
    region: Region
    vpc: VpcId
    name: str
    description: str
    rules: tuple[SecurityGroupRule, ...] = ()
    tags: Tags = ()


class NetworkInterface(msgspec.Struct, frozen=True, kw_only=True):
    """An address in a subnet. `requester` and `description` say what it was made for."""

    id: NetworkInterfaceId
    account: AccountId
    region: Region
    vpc: VpcId
    subnet: SubnetId
    availability_zone: str
    address: str
    mac: str
    groups: tuple[SecurityGroupId, ...]
    description: str
    requester: str  # "amazon-ecs" for a task's
    status: Literal["pending", "in-use"] = "in-use"
    attachment_id: str
    attached_at: float
    private_dns_name: str
    tags: Tags = ()
