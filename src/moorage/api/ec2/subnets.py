"""Subnets. Source: EC2 API, DescribeSubnets; VPC User Guide, "Subnet CIDR blocks"."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import not_found
from moorage.api.ec2.filters import Filter, Noun, Tag, boolean, choose, one_page, refuse_dry_run, tags_out
from moorage.base.ids import Scope
from moorage.model.network import Subnet
from moorage.store import State

# The network's own address, the router, DNS, one kept for later, and the broadcast address.
RESERVED_ADDRESSES: Final = 5


class SubnetOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    subnet_id: str
    subnet_arn: str
    vpc_id: str
    state: str = "available"
    cidr_block: str
    available_ip_address_count: int
    availability_zone: str
    availability_zone_id: str
    default_for_az: bool
    map_public_ip_on_launch: bool
    assign_ipv6_address_on_creation: bool = False
    ipv6_native: bool = False
    ipv6_cidr_block_association_set: tuple[()] = ()
    owner_id: str
    tags: tuple[Tag, ...]


class DescribeSubnetsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    max_results: int | None = None
    next_token: str | None = None
    dry_run: bool | None = None


class DescribeSubnetsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    subnets: tuple[SubnetOut, ...]
    next_token: str | None = None


def describe_subnets(call: Call, request: DescribeSubnetsRequest) -> DescribeSubnetsResponse:
    state = call.store.view()
    free = partial(free_addresses, state)
    noun = _noun(free)
    found = choose(noun, state.subnets.by("scope", call.scope), request.subnet_ids, request.filters)
    chosen, following = one_page(noun, found, request.next_token, request.max_results)
    refuse_dry_run(request.dry_run)
    return DescribeSubnetsResponse(
        subnets=tuple(_out(subnet, free(subnet)) for subnet in chosen), next_token=following
    )


def free_addresses(state: State, subnet: Subnet) -> int:
    """How many more interfaces the subnet can take."""
    size = ipaddress.IPv4Network(subnet.cidr).num_addresses
    return size - RESERVED_ADDRESSES - state.network_interfaces.count("subnet", subnet.id)


def _arn(subnet: Subnet) -> str:
    return Scope(subnet.account, subnet.region).arn("ec2", f"subnet/{subnet.id}")


def _noun(free: Callable[[Subnet], int]) -> Noun[Subnet]:
    return Noun(
        id=lambda subnet: subnet.id,
        tags=lambda subnet: subnet.tags,
        not_found=partial(not_found, "InvalidSubnetID.NotFound", "subnet ID"),
        fields={
            "availability-zone": lambda subnet: (subnet.availability_zone,),
            "availabilityZone": lambda subnet: (subnet.availability_zone,),
            "availability-zone-id": lambda subnet: (subnet.availability_zone_id,),
            "availabilityZoneId": lambda subnet: (subnet.availability_zone_id,),
            "available-ip-address-count": lambda subnet: (str(free(subnet)),),
            "cidr": lambda subnet: (subnet.cidr,),
            "cidr-block": lambda subnet: (subnet.cidr,),
            "cidrBlock": lambda subnet: (subnet.cidr,),
            "default-for-az": lambda subnet: boolean(subnet.default_for_az),
            "defaultForAz": lambda subnet: boolean(subnet.default_for_az),
            "ipv6-native": lambda _: ("false",),
            "map-public-ip-on-launch": lambda subnet: boolean(subnet.map_public_ip_on_launch),
            "owner-id": lambda subnet: (subnet.account,),
            "state": lambda _: ("available",),
            "subnet-arn": lambda subnet: (_arn(subnet),),
            "subnet-id": lambda subnet: (subnet.id,),
            "vpc-id": lambda subnet: (subnet.vpc,),
        },
    )


def _out(subnet: Subnet, free: int) -> SubnetOut:
    return SubnetOut(
        subnet_id=subnet.id,
        subnet_arn=_arn(subnet),
        vpc_id=subnet.vpc,
        cidr_block=subnet.cidr,
        available_ip_address_count=free,
        availability_zone=subnet.availability_zone,
        availability_zone_id=subnet.availability_zone_id,
        default_for_az=subnet.default_for_az,
        map_public_ip_on_launch=subnet.map_public_ip_on_launch,
        owner_id=subnet.account,
        tags=tags_out(subnet.tags),
    )
