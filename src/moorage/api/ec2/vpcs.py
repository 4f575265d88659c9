"""VPCs. Source: EC2 API, DescribeVpcs and DescribeVpcAttribute."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import not_found
from moorage.api.ec2.filters import Filter, Noun, Tag, boolean, choose, one_page, refuse_dry_run, tags_out
from moorage.model.network import Vpc


class CidrState(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    state: str = "associated"


class CidrAssociation(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    association_id: str
    cidr_block: str
    cidr_block_state: CidrState = CidrState()


class VpcOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    vpc_id: str
    state: str = "available"
    cidr_block: str
    dhcp_options_id: str = "default"
    instance_tenancy: str = "default"
    is_default: bool
    owner_id: str
    cidr_block_association_set: tuple[CidrAssociation, ...]
    ipv6_cidr_block_association_set: tuple[()] = ()
    tags: tuple[Tag, ...]


class DescribeVpcsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    vpc_ids: tuple[str, ...] = ()
    max_results: int | None = None
    next_token: str | None = None
    dry_run: bool | None = None


class DescribeVpcsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    vpcs: tuple[VpcOut, ...]
    next_token: str | None = None


def _association_id(vpc: Vpc) -> str:
    return vpc.id.replace("vpc-", "vpc-cidr-assoc-", 1)


VPC: Noun[Vpc] = Noun(
    id=lambda vpc: vpc.id,
    tags=lambda vpc: vpc.tags,
    not_found=partial(not_found, "InvalidVpcID.NotFound", "vpc ID"),
    fields={
        "cidr": lambda vpc: (vpc.cidr,),
        "cidr-block": lambda vpc: (vpc.cidr,),
        "cidr-block-association.association-id": lambda vpc: (_association_id(vpc),),
        "cidr-block-association.cidr-block": lambda vpc: (vpc.cidr,),
        "cidr-block-association.state": lambda _: ("associated",),
        "dhcp-options-id": lambda _: ("default",),
        "is-default": lambda vpc: boolean(vpc.is_default),
        "isDefault": lambda vpc: boolean(vpc.is_default),
        "owner-id": lambda vpc: (vpc.account,),
        "state": lambda _: ("available",),
        "vpc-id": lambda vpc: (vpc.id,),
    },
)


def describe_vpcs(call: Call, request: DescribeVpcsRequest) -> DescribeVpcsResponse:
    found = choose(VPC, call.store.view().vpcs.by("scope", call.scope), request.vpc_ids, request.filters)
    chosen, following = one_page(VPC, found, request.next_token, request.max_results)
    refuse_dry_run(request.dry_run)
    return DescribeVpcsResponse(vpcs=tuple(map(_out, chosen)), next_token=following)


def _out(vpc: Vpc) -> VpcOut:
    return VpcOut(
        vpc_id=vpc.id,
        cidr_block=vpc.cidr,
        is_default=vpc.is_default,
        owner_id=vpc.account,
        cidr_block_association_set=(CidrAssociation(association_id=_association_id(vpc), cidr_block=vpc.cidr),),
        tags=tags_out(vpc.tags),
    )


class DescribeVpcAttributeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attribute: Literal["enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"]
    vpc_id: str
    dry_run: bool | None = None


class BooleanValue(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    value: bool


class DescribeVpcAttributeResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The attribute that was asked for, and no other."""

    vpc_id: str
    enable_dns_support: BooleanValue | None = None
    enable_dns_hostnames: BooleanValue | None = None
    enable_network_address_usage_metrics: BooleanValue | None = None


def describe_vpc_attribute(call: Call, request: DescribeVpcAttributeRequest) -> DescribeVpcAttributeResponse:
    records = call.store.view().vpcs.by("scope", call.scope)
    vpc = choose(VPC, records, [request.vpc_id], [])[0]
    refuse_dry_run(request.dry_run)
    # What EC2 gives a new VPC; DNS names of instances are switched on in the default VPC only.
    match request.attribute:
        case "enableDnsSupport":
            return DescribeVpcAttributeResponse(vpc_id=vpc.id, enable_dns_support=BooleanValue(value=True))
        case "enableDnsHostnames":
            return DescribeVpcAttributeResponse(
                vpc_id=vpc.id, enable_dns_hostnames=BooleanValue(value=vpc.is_default)
            )
        case "enableNetworkAddressUsageMetrics":
            return DescribeVpcAttributeResponse(
                vpc_id=vpc.id, enable_network_address_usage_metrics=BooleanValue(value=False)
            )
