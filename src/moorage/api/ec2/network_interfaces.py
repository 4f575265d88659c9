"""Network interfaces; today all of them are tasks'. Source: EC2 API, DescribeNetworkInterfaces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec

from moorage.api.call import Call
from moorage.api.ec2.errors import InvalidParameterCombination, not_found
from moorage.api.ec2.filters import Filter, Noun, Tag, choose, one_page, refuse_dry_run, tags_out
from moorage.api.ec2.zones import id_of_zone
from moorage.base.ids import Scope
from moorage.model.network import NetworkInterface
from moorage.store import State

TASK_DEVICE_INDEX = 1  # device 0 is the instance's own


class Attachment(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attach_time: float
    attachment_id: str
    delete_on_termination: bool = True
    device_index: int = TASK_DEVICE_INDEX
    network_card_index: int = 0
    instance_owner_id: str
    status: Literal["attaching", "attached"]


class GroupIdentifier(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    group_id: str
    group_name: str


class PrivateIpAddress(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    primary: bool = True
    private_dns_name: str
    private_ip_address: str


class NetworkInterfaceOut(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    network_interface_id: str
    status: str
    interface_type: str = "interface"
    description: str
    attachment: Attachment
    availability_zone: str
    availability_zone_id: str
    vpc_id: str
    subnet_id: str
    groups: tuple[GroupIdentifier, ...]
    mac_address: str
    private_dns_name: str
    private_ip_address: str
    private_ip_addresses: tuple[PrivateIpAddress, ...]
    ipv6_addresses: tuple[()] = ()
    owner_id: str
    requester_id: str
    requester_managed: bool = True
    source_dest_check: bool = True
    tag_set: tuple[Tag, ...]


class DescribeNetworkInterfacesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    filters: tuple[Filter, ...] = ()
    network_interface_ids: tuple[str, ...] = ()
    max_results: int | None = None
    next_token: str | None = None
    dry_run: bool | None = None


class DescribeNetworkInterfacesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    network_interfaces: tuple[NetworkInterfaceOut, ...]
    next_token: str | None = None


def describe_network_interfaces(
    call: Call, request: DescribeNetworkInterfacesRequest
) -> DescribeNetworkInterfacesResponse:
    if request.network_interface_ids and request.max_results is not None:
        raise InvalidParameterCombination("The parameter networkInterfaceIds cannot be used with maxResults")
    state = call.store.view()
    noun = _noun(state)
    records = _records(state, call.scope, request.network_interface_ids)
    found = choose(noun, records, request.network_interface_ids, request.filters)
    chosen, following = one_page(noun, found, request.next_token, request.max_results)
    refuse_dry_run(request.dry_run)
    return DescribeNetworkInterfacesResponse(
        network_interfaces=tuple(_out(state, interface) for interface in chosen), next_token=following
    )


def _records(state: State, scope: Scope, ids: Sequence[str]) -> list[NetworkInterface]:
    """The caller's interfaces; only the named ones where some are named, for there is one to every task."""
    if not ids:
        return state.network_interfaces.by("scope", scope)
    named = (state.network_interfaces.get(one) for one in ids)
    return [interface for interface in named if interface and (interface.account, interface.region) == scope]


def _attachment_status(interface: NetworkInterface) -> Literal["attaching", "attached"]:
    return "attached" if interface.status == "in-use" else "attaching"


def _group_names(state: State, interface: NetworkInterface) -> tuple[GroupIdentifier, ...]:
    known = ((group, state.security_groups.get(group)) for group in interface.groups)
    return tuple(GroupIdentifier(group_id=group, group_name=record.name) for group, record in known if record)


def _noun(state: State) -> Noun[NetworkInterface]:
    return Noun(
        id=lambda interface: interface.id,
        tags=lambda interface: interface.tags,
        not_found=partial(not_found, "InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
        fields={
            "addresses.primary": lambda _: ("true",),
            "addresses.private-ip-address": lambda interface: (interface.address,),
            "association.public-ip": lambda _: (),  # no interface has a public address
            "attachment.attachment-id": lambda interface: (interface.attachment_id,),
            "attachment.delete-on-termination": lambda _: ("true",),
            "attachment.device-index": lambda _: (str(TASK_DEVICE_INDEX),),
            "attachment.instance-id": lambda _: (),  # a task is not an EC2 instance
            "attachment.instance-owner-id": lambda interface: (interface.requester,),
            "attachment.status": lambda interface: (_attachment_status(interface),),
            "availability-zone": lambda interface: (interface.availability_zone,),
            "availability-zone-id": lambda interface: (id_of_zone(interface.availability_zone),),
            "description": lambda interface: (interface.description,),
            "group-id": lambda interface: interface.groups,
            "group-name": lambda interface: [group.group_name for group in _group_names(state, interface)],
            "interface-type": lambda _: ("interface",),
            "mac-address": lambda interface: (interface.mac,),
            "network-interface-id": lambda interface: (interface.id,),
            "owner-id": lambda interface: (interface.account,),
            "private-dns-name": lambda interface: (interface.private_dns_name,),
            "private-ip-address": lambda interface: (interface.address,),
            "requester-id": lambda interface: (interface.requester,),
            "requester-managed": lambda _: ("true",),
            "source-dest-check": lambda _: ("true",),
            "status": lambda interface: (interface.status,),
            "subnet-id": lambda interface: (interface.subnet,),
            "vpc-id": lambda interface: (interface.vpc,),
        },
    )


def _out(state: State, interface: NetworkInterface) -> NetworkInterfaceOut:
    address = PrivateIpAddress(private_dns_name=interface.private_dns_name, private_ip_address=interface.address)
    return NetworkInterfaceOut(
        network_interface_id=interface.id,
        status=interface.status,
        description=interface.description,
        attachment=Attachment(
            attach_time=interface.attached_at,
            attachment_id=interface.attachment_id,
            instance_owner_id=interface.requester,
            status=_attachment_status(interface),
        ),
        availability_zone=interface.availability_zone,
        availability_zone_id=id_of_zone(interface.availability_zone),
        vpc_id=interface.vpc,
        subnet_id=interface.subnet,
        groups=_group_names(state, interface),
        mac_address=interface.mac,
        private_dns_name=interface.private_dns_name,
        private_ip_address=interface.address,
        private_ip_addresses=(address,),
        owner_id=interface.account,
        requester_id=interface.requester,
        tag_set=tags_out(interface.tags),
    )
