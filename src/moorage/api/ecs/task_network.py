"""The network of awsvpc tasks: what a request names is looked up, and each task gets an interface with an address.

Source: ECS API, AwsVpcConfiguration; Developer Guide, "Task networking with the awsvpc network mode".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from moorage.api.call import Call
from moorage.api.ecs.errors import InvalidParameter
from moorage.api.ecs.task_requests import AwsvpcConfiguration, NetworkConfiguration
from moorage.base.dice import Dice, below, hex_id, uuid
from moorage.base.ids import NetworkInterfaceId, Scope, SecurityGroupId
from moorage.model.network import NetworkInterface, Subnet
from moorage.model.task_definition import NetworkMode
from moorage.rules.addresses import choose, mac_of, private_dns_name, usable
from moorage.store import StateTx

SUBNETS_MAX: Final = 16  # of one configuration; AWS's own numbers
SECURITY_GROUPS_MAX: Final = 5


@dataclass(frozen=True)
class Network:
    """Where the interfaces of a call's tasks may be, and the groups that they are in."""

    subnets: tuple[Subnet, ...]
    groups: tuple[SecurityGroupId, ...]

    def roomy(self, tx: StateTx) -> tuple[Subnet, ...]:
        """The subnets that have a free address."""
        return tuple(s for s in self.subnets if tx.network_interfaces.count("subnet", s.id) < len(usable(s.cidr)))


def find_network(
    tx: StateTx, scope: Scope, mode: NetworkMode, given: NetworkConfiguration | None, *, fargate: bool
) -> Network | None:
    """The network of awsvpc tasks, None for the other modes; refused where the request does not fit."""
    configuration = given.awsvpc_configuration if given else None
    if mode != "awsvpc":
        if configuration is not None:
            raise InvalidParameter(
                "Network Configuration is not valid for the given networkMode of this task definition."
            )
        return None
    if configuration is None:
        raise InvalidParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    _check(configuration, fargate)
    subnets = _subnets(tx, scope, configuration.subnets)
    groups = _groups(tx, scope, configuration.security_groups, subnets[0])
    return Network(subnets, groups)


def _check(configuration: AwsvpcConfiguration, fargate: bool) -> None:
    if not configuration.subnets:
        raise InvalidParameter("subnets can not be empty.")
    if len(configuration.subnets) > SUBNETS_MAX:
        raise InvalidParameter(f"subnets can have at most {SUBNETS_MAX} items.")
    if len(configuration.security_groups) > SECURITY_GROUPS_MAX:
        raise InvalidParameter(f"securityGroups can have at most {SECURITY_GROUPS_MAX} items.")
    if configuration.assign_public_ip not in (None, "ENABLED", "DISABLED"):
        raise InvalidParameter("assignPublicIp must be ENABLED or DISABLED.")
    if configuration.assign_public_ip == "ENABLED" and not fargate:
        raise InvalidParameter("Assign public IP is not supported for this launch type.")


def _subnets(tx: StateTx, scope: Scope, ids: Sequence[str]) -> tuple[Subnet, ...]:
    subnets: list[Subnet] = []
    for subnet_id in dict.fromkeys(ids):
        subnet = tx.subnets.get(subnet_id)
        if subnet is None or (subnet.account, subnet.region) != scope:
            raise InvalidParameter(f"The subnet ID '{subnet_id}' does not exist")
        if subnets and subnet.vpc != subnets[0].vpc:
            raise InvalidParameter("All subnets must belong to the same VPC.")
        subnets.append(subnet)
    return tuple(subnets)


def _groups(tx: StateTx, scope: Scope, ids: Sequence[str], subnet: Subnet) -> tuple[SecurityGroupId, ...]:
    if not ids:
        return tuple(group.id for group in tx.security_groups.by("vpc", subnet.vpc) if group.name == "default")
    groups: list[SecurityGroupId] = []
    for group_id in dict.fromkeys(ids):
        group = tx.security_groups.get(group_id)
        if group is None or (group.account, group.region) != scope:
            raise InvalidParameter(f"The security group ID '{group_id}' does not exist")
        if group.vpc != subnet.vpc:
            raise InvalidParameter("Security groups and subnets must belong to the same VPC.")
        groups.append(group.id)
    return tuple(groups)


def attach(tx: StateTx, call: Call, network: Network, zone: str) -> NetworkInterface | None:
    """A new interface in one of the network's subnets of that zone ("": of any); None where none has an address."""
    subnets = [subnet for subnet in network.subnets if zone in ("", subnet.availability_zone)]
    while subnets:
        subnet = subnets.pop(below(call.dice, len(subnets)))
        address = _free_address(tx, subnet, call.dice)
        if address is not None:
            return tx.network_interfaces.put(_interface(call, subnet, network.groups, address))
    return None


def _free_address(tx: StateTx, subnet: Subnet, dice: Dice) -> str | None:
    interfaces = tx.network_interfaces
    used = interfaces.count("subnet", subnet.id)
    return choose(subnet.cidr, used, lambda address: interfaces.count("address", (subnet.vpc, address)) > 0, dice)


def _interface(call: Call, subnet: Subnet, groups: tuple[SecurityGroupId, ...], address: str) -> NetworkInterface:
    attachment = uuid(call.dice)
    return NetworkInterface(
        id=NetworkInterfaceId(f"eni-{hex_id(call.dice, 17)}"),
        account=subnet.account,
        region=subnet.region,
        vpc=subnet.vpc,
        subnet=subnet.id,
        availability_zone=subnet.availability_zone,
        address=address,
        mac=mac_of(address),
        groups=groups,
        description=call.scope.arn("ecs", f"attachment/{attachment}"),
        requester="amazon-ecs",
        attachment_id=attachment,
        attached_at=call.now_s,
        private_dns_name=private_dns_name(address, subnet.region),
    )
