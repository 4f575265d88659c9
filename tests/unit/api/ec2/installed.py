"""A call into an installation whose default VPC exists, with some interfaces in it."""

from __future__ import annotations

from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ec2.default_vpc import create_default_vpc
from moorage.base.ids import NetworkInterfaceId
from moorage.model.network import NetworkInterface, Subnet
from tests.unit.records import an_interface
from tests.unit.support import make_call


def a_call() -> Call:
    call = make_call()
    with call.store.update() as tx:
        create_default_vpc(tx, call.scope, "172.31.0.0/16", call.installation.zones, call.dice)
    return call


def subnet_in(call: Call, letter: str) -> Subnet:
    zone = f"{call.scope.region}{letter}"
    (subnet,) = [one for one in call.store.view().subnets if one.availability_zone == zone]
    return subnet


def add_interface(call: Call, subnet: Subnet, number: int) -> NetworkInterface:
    (group,) = call.store.view().security_groups.by("vpc", subnet.vpc)
    interface = replace(
        an_interface(number),
        id=NetworkInterfaceId(f"eni-{number:017x}"),
        vpc=subnet.vpc,
        subnet=subnet.id,
        availability_zone=subnet.availability_zone,
        groups=(group.id,),
        description=f"task {number}",
    )
    with call.store.update() as tx:
        tx.network_interfaces.put(interface)
    return interface
