"""Addresses of task interfaces: which of a subnet's are free, and the names that follow from an address.

Source: VPC User Guide, "Subnet sizing"; EC2 User Guide, "Amazon EC2 instance hostname types".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Final

from moorage.base.dice import Dice, below

# The network itself, the router, the resolver, one kept for later by AWS; and the broadcast address at the end.
RESERVED_FIRST: Final = 4
RESERVED_LAST: Final = 1
# Throws before looking at every address: nine tenths of a subnet can be taken and four fifths of the searches still
# end within these.
THROWS_MAX: Final = 16


@lru_cache(maxsize=1024)  # a subnet's block never changes, and parsing it costs more than the rest of the choice
def usable(cidr: str) -> range:
    """The addresses of a subnet that an interface may have, as integers."""
    network = IPv4Network(cidr)
    first = int(network.network_address)
    return range(first + RESERVED_FIRST, first + network.num_addresses - RESERVED_LAST)


def choose(cidr: str, used: int, is_taken: Callable[[str], bool], dice: Dice) -> str | None:
    """A free address of the subnet, of which `used` are taken; None where there is none.

    By chance rather than in order, so that an address is not given out again while others still believe that they
    know who has it.
    """
    all_of_it = usable(cidr)
    if used >= len(all_of_it):
        return None
    for _ in range(THROWS_MAX):
        address = text(all_of_it[below(dice, len(all_of_it))])
        if not is_taken(address):
            return address
    start = below(dice, len(all_of_it))
    found = (text(all_of_it[(start + step) % len(all_of_it)]) for step in range(len(all_of_it)))
    return next((address for address in found if not is_taken(address)), None)


def text(address: int) -> str:
    """Dotted quad."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def mac_of(address: str) -> str:
    """The locally administered hardware address of an interface.

    Made of its IPv4 address: unique where that is, so within a VPC, and what neighbours have remembered of an
    address stays true when the next task gets it.
    """
    return "02:ec:" + ":".join(f"{int(octet):02x}" for octet in address.split("."))


def private_dns_name(address: str, region: str) -> str:
    """ip-10-0-0-4.ec2.internal, or with the region's own domain outside us-east-1."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"
