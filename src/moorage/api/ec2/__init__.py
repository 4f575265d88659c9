"""Does: Amazon EC2: the network that tasks live in, for reading; `create_default_vpc` makes a region's first.
May import: api.call, store, wire, link, rules, model, base.
Does not: run instances; import another service, it reads their tables.
"""

from typing import Final

from moorage.api.call import Operation
from moorage.api.ec2.account_attributes import describe_account_attributes
from moorage.api.ec2.default_vpc import create_default_vpc
from moorage.api.ec2.network_interfaces import describe_network_interfaces
from moorage.api.ec2.regions import describe_availability_zones, describe_regions
from moorage.api.ec2.security_group_rules import describe_security_group_rules
from moorage.api.ec2.security_groups import describe_security_groups
from moorage.api.ec2.subnets import describe_subnets
from moorage.api.ec2.vpcs import describe_vpc_attribute, describe_vpcs

__all__ = ["OPERATIONS", "create_default_vpc"]

OPERATIONS: Final[dict[str, Operation]] = {
    "DescribeAccountAttributes": describe_account_attributes,
    "DescribeAvailabilityZones": describe_availability_zones,
    "DescribeNetworkInterfaces": describe_network_interfaces,
    "DescribeRegions": describe_regions,
    "DescribeSecurityGroupRules": describe_security_group_rules,
    "DescribeSecurityGroups": describe_security_groups,
    "DescribeSubnets": describe_subnets,
    "DescribeVpcAttribute": describe_vpc_attribute,
    "DescribeVpcs": describe_vpcs,
}
