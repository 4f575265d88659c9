"""Describing VPCs, subnets, groups, rules and interfaces."""

from __future__ import annotations

import pytest

from moorage.api.ec2.account_attributes import DescribeAccountAttributesRequest, describe_account_attributes
from moorage.api.ec2.filters import Filter
from moorage.api.ec2.network_interfaces import (
    DescribeNetworkInterfacesRequest,
    describe_network_interfaces,
)
from moorage.api.ec2.regions import (
    DescribeAvailabilityZonesRequest,
    DescribeRegionsRequest,
    describe_availability_zones,
    describe_regions,
)
from moorage.api.ec2.security_group_rules import DescribeSecurityGroupRulesRequest, describe_security_group_rules
from moorage.api.ec2.security_groups import DescribeSecurityGroupsRequest, describe_security_groups
from moorage.api.ec2.subnets import DescribeSubnetsRequest, describe_subnets
from moorage.api.ec2.vpcs import (
    DescribeVpcAttributeRequest,
    DescribeVpcsRequest,
    describe_vpc_attribute,
    describe_vpcs,
)
from moorage.base.errors import Refused
from moorage.base.ids import Region
from tests.unit.api.ec2.installed import a_call, add_interface, subnet_in
from tests.unit.support import ACCOUNT, make_call


def test_the_default_vpc_is_found_by_the_filter_that_tools_use() -> None:
    call = a_call()
    for name in ("is-default", "isDefault"):
        (vpc,) = describe_vpcs(call, DescribeVpcsRequest(filters=(Filter(name=name, values=("true",)),))).vpcs
        assert (vpc.cidr_block, vpc.owner_id, vpc.state) == ("172.31.0.0/16", ACCOUNT, "available")
        assert vpc.cidr_block_association_set[0].cidr_block == "172.31.0.0/16"


def test_another_region_sees_nothing_of_it() -> None:
    call = a_call()
    elsewhere = make_call(call.store, region=Region("eu-west-1"))
    assert describe_vpcs(elsewhere, DescribeVpcsRequest()).vpcs == ()
    with pytest.raises(Refused, match="does not exist"):
        describe_subnets(elsewhere, DescribeSubnetsRequest(subnet_ids=(subnet_in(call, "a").id,)))


def test_one_attribute_of_a_vpc_is_answered_at_a_time() -> None:
    call = a_call()
    vpc = next(iter(call.store.view().vpcs))
    support = describe_vpc_attribute(call, DescribeVpcAttributeRequest(attribute="enableDnsSupport", vpc_id=vpc.id))
    assert support.enable_dns_support is not None
    assert support.enable_dns_support.value
    assert support.enable_dns_hostnames is None
    with pytest.raises(Refused, match="The vpc ID 'vpc-1' does not exist"):
        describe_vpc_attribute(call, DescribeVpcAttributeRequest(attribute="enableDnsSupport", vpc_id="vpc-1"))


def test_free_addresses_are_counted_without_the_reserved_five_and_the_taken() -> None:
    call = a_call()
    for number in range(3):
        add_interface(call, subnet_in(call, "b"), number)
    free = {
        s.availability_zone: s.available_ip_address_count
        for s in describe_subnets(call, DescribeSubnetsRequest()).subnets
    }
    assert free == {"us-east-1a": 4091, "us-east-1b": 4088, "us-east-1c": 4091}


def test_the_default_group_shows_its_permissions() -> None:
    call = a_call()
    request = DescribeSecurityGroupsRequest(filters=(Filter(name="group-name", values=("default",)),))
    (group,) = describe_security_groups(call, request).security_groups
    assert group.ip_permissions[0].user_id_group_pairs[0].group_id == group.group_id
    assert group.ip_permissions[0].ip_ranges == ()
    assert group.ip_permissions[0].from_port is None
    assert group.ip_permissions_egress[0].ip_ranges[0].cidr_ip == "0.0.0.0/0"


def test_groups_of_the_default_vpc_are_found_by_name() -> None:
    call = a_call()
    assert len(
        describe_security_groups(call, DescribeSecurityGroupsRequest(group_names=("default",))).security_groups
    )
    with pytest.raises(Refused, match="The security group 'web' does not exist") as refusal:
        describe_security_groups(call, DescribeSecurityGroupsRequest(group_names=("web",)))
    assert refusal.value.code == "InvalidGroup.NotFound"


def test_groups_are_found_by_what_their_rules_say() -> None:
    call = a_call()
    for name, value, found in (
        ("egress.ip-permission.cidr", "0.0.0.0/0", 1),
        ("ip-permission.cidr", "0.0.0.0/0", 0),
        ("ip-permission.group-name", "default", 1),
        ("ip-permission.protocol", "-1", 1),
    ):
        request = DescribeSecurityGroupsRequest(filters=(Filter(name=name, values=(value,)),))
        assert len(describe_security_groups(call, request).security_groups) == found


def test_rules_are_listed_one_by_one() -> None:
    call = a_call()
    (group,) = call.store.view().security_groups
    request = DescribeSecurityGroupRulesRequest(filters=(Filter(name="group-id", values=(group.id,)),))
    rules = describe_security_group_rules(call, request).security_group_rules
    assert {rule.is_egress for rule in rules} == {True, False}
    (inward,) = [rule for rule in rules if not rule.is_egress]
    assert inward.referenced_group_info is not None
    assert inward.referenced_group_info.group_id == group.id
    assert (inward.from_port, inward.cidr_ipv4) == (-1, None)


def test_an_interface_tells_its_address_and_whose_it_is() -> None:
    call = a_call()
    interface = add_interface(call, subnet_in(call, "b"), 9)
    request = DescribeNetworkInterfacesRequest(network_interface_ids=(interface.id,))
    (shown,) = describe_network_interfaces(call, request).network_interfaces
    assert (shown.private_ip_address, shown.availability_zone_id) == (interface.address, "use1-az2")
    assert shown.groups[0].group_name == "default"
    assert shown.attachment.status == "attached"


def test_interfaces_are_found_by_description_and_requester_page_by_page() -> None:
    call = a_call()
    for number in range(12):
        add_interface(call, subnet_in(call, "a"), number)
    one = DescribeNetworkInterfacesRequest(filters=(Filter(name="description", values=("task 7",)),))
    assert len(describe_network_interfaces(call, one).network_interfaces) == 1
    seen: list[str] = []
    token = None
    pages = 0
    while pages == 0 or token:
        wanted = (Filter(name="requester-id", values=("amazon-ecs",)),)
        request = DescribeNetworkInterfacesRequest(filters=wanted, max_results=5, next_token=token)
        answer = describe_network_interfaces(call, request)
        seen += [shown.network_interface_id for shown in answer.network_interfaces]
        token = answer.next_token
        pages += 1
    assert (len(seen), len(set(seen)), pages) == (12, 12, 3)


def test_an_interface_of_nobody_is_not_found() -> None:
    call = a_call()
    interface = add_interface(call, subnet_in(call, "a"), 1)
    with pytest.raises(Refused) as refusal:
        describe_network_interfaces(call, DescribeNetworkInterfacesRequest(network_interface_ids=("eni-1",)))
    assert refusal.value.code == "InvalidNetworkInterfaceID.NotFound"
    request = DescribeNetworkInterfacesRequest(network_interface_ids=(interface.id,), max_results=5)
    with pytest.raises(Refused) as refusal:
        describe_network_interfaces(call, request)
    assert refusal.value.code == "InvalidParameterCombination"


def test_zones_and_regions_are_those_of_the_installation() -> None:
    call = a_call()
    zones = describe_availability_zones(call, DescribeAvailabilityZonesRequest()).availability_zones
    assert [(zone.zone_name, zone.zone_id) for zone in zones] == [
        ("us-east-1a", "use1-az1"),
        ("us-east-1b", "use1-az2"),
        ("us-east-1c", "use1-az3"),
    ]
    by_id = describe_availability_zones(call, DescribeAvailabilityZonesRequest(zone_ids=("use1-az2",)))
    assert [zone.zone_name for zone in by_id.availability_zones] == ["us-east-1b"]
    (region,) = describe_regions(call, DescribeRegionsRequest()).regions
    assert (region.region_name, region.endpoint) == ("us-east-1", "127.0.0.1:8780")


@pytest.mark.parametrize(
    "request_",
    [
        DescribeAvailabilityZonesRequest(zone_names=("us-east-1z",)),
        DescribeAvailabilityZonesRequest(zone_ids=("use1-az9",)),
    ],
)
def test_zones_that_do_not_exist_are_refused(request_: DescribeAvailabilityZonesRequest) -> None:
    with pytest.raises(Refused, match="Invalid availability zone"):
        describe_availability_zones(a_call(), request_)


def test_the_account_knows_its_default_vpc() -> None:
    call = a_call()
    request = DescribeAccountAttributesRequest(attribute_names=("default-vpc",))
    (attribute,) = describe_account_attributes(call, request).account_attributes
    assert attribute.attribute_values[0].attribute_value == next(iter(call.store.view().vpcs)).id
    with pytest.raises(Refused, match="attributeName"):
        describe_account_attributes(call, DescribeAccountAttributesRequest(attribute_names=("colour",)))
