"""The default VPC of a region, as a new account finds it: a subnet in each zone and a default security group.

Source: VPC User Guide, "Default VPCs" and "Default security groups for your VPCs".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from moorage.api.ec2.zones import zone_id, zone_name
from moorage.base.dice import Dice, hex_id
from moorage.base.ids import Scope, SecurityGroupId, SubnetId, VpcId
from moorage.model.network import SecurityGroup, SecurityGroupRule, Subnet, Vpc
from moorage.store import StateTx

ID_DIGITS: Final = 17  # every EC2 id: a prefix and 17 hexadecimal digits
SUBNET_PREFIX: Final = 20  # 4,091 addresses, as in AWS
SUBNET_PREFIX_MAX: Final = 28  # EC2's smallest subnet; five of its sixteen addresses are reserved
VPC_PREFIXES: Final = range(16, 29)


def create_default_vpc(tx: StateTx, scope: Scope, cidr: str, zones: Sequence[str], dice: Dice) -> Vpc:
    """Make the default VPC of a region, or find it; `zones` are the letters of the region's zones.

    Raises ValueError where `cidr` is no network that holds a subnet for each zone.
    """
    for vpc in tx.vpcs.by("scope", scope):
        if vpc.is_default:
            return vpc
    network = ipaddress.IPv4Network(cidr)
    subnets = _subnets(network, len(zones))
    vpc = Vpc(
        id=VpcId(f"vpc-{hex_id(dice, ID_DIGITS)}"),
        account=scope.account,
        region=scope.region,
        cidr=str(network),
        is_default=True,
    )
    tx.vpcs.put(vpc)
    for letter, subnet in zip(zones, subnets, strict=True):
        tx.subnets.put(_subnet(vpc, letter, subnet, dice))
    tx.security_groups.put(default_security_group(vpc, dice))
    return vpc


def _subnets(network: ipaddress.IPv4Network, count: int) -> list[ipaddress.IPv4Network]:
    prefix = max(SUBNET_PREFIX, network.prefixlen + (count - 1).bit_length())
    if network.prefixlen not in VPC_PREFIXES or prefix > SUBNET_PREFIX_MAX:
        raise ValueError(
            f"{network} cannot be a VPC of {count} zones: from /16 down to /28, with /28 for each subnet"
        )
    return [subnet for subnet, _ in zip(network.subnets(new_prefix=prefix), range(count), strict=False)]


def _subnet(vpc: Vpc, letter: str, network: ipaddress.IPv4Network, dice: Dice) -> Subnet:
    return Subnet(
        id=SubnetId(f"subnet-{hex_id(dice, ID_DIGITS)}"),
        account=vpc.account,
        region=vpc.region,
        vpc=vpc.id,
        cidr=str(network),
        availability_zone=zone_name(vpc.region, letter),
        availability_zone_id=zone_id(vpc.region, letter),
        default_for_az=True,
        map_public_ip_on_launch=True,
    )


def default_security_group(vpc: Vpc, dice: Dice) -> SecurityGroup:
    """The group that every VPC begins with: all from its own members, all to anywhere."""
    group = SecurityGroupId(f"sg-{hex_id(dice, ID_DIGITS)}")
    inward = SecurityGroupRule(id=_rule_id(dice), egress=False, protocol="-1", group=group)
    outward = SecurityGroupRule(id=_rule_id(dice), egress=True, protocol="-1", cidr="0.0.0.0/0")
    return SecurityGroup(
        id=group,
        account=vpc.account,
        region=vpc.region,
        vpc=vpc.id,
        name="default",
        description="default VPC security group",
        rules=(inward, outward),
    )


def _rule_id(dice: Dice) -> str:
    return f"sgr-{hex_id(dice, ID_DIGITS)}"
