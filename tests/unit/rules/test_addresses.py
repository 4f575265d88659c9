"""Which address a task gets, and what follows from it."""

from __future__ import annotations

from moorage.rules.addresses import choose, mac_of, private_dns_name, text, usable
from tests.unit.support import SeededDice


def test_the_first_four_addresses_and_the_last_are_nobodys() -> None:
    addresses = [text(one) for one in usable("10.0.0.0/28")]
    assert (addresses[0], addresses[-1], len(addresses)) == ("10.0.0.4", "10.0.0.14", 11)


def test_every_address_is_given_out_once_and_then_none() -> None:
    taken: set[str] = set()
    dice = SeededDice()
    for used in range(11):
        address = choose("10.0.0.16/28", used, taken.__contains__, dice)
        assert address is not None
        assert address not in taken
        taken.add(address)
    assert choose("10.0.0.16/28", 11, taken.__contains__, dice) is None


def test_a_subnet_that_others_have_filled_gives_none() -> None:
    assert choose("10.0.0.0/28", 0, lambda _address: True, SeededDice()) is None


def test_the_hardware_address_is_local_and_follows_the_address() -> None:
    assert mac_of("172.31.16.9") == "02:ec:ac:1f:10:09"


def test_names_tell_the_address_and_the_region() -> None:
    assert private_dns_name("10.0.0.4", "us-east-1") == "ip-10-0-0-4.ec2.internal"
    assert private_dns_name("10.0.0.4", "eu-west-1") == "ip-10-0-0-4.eu-west-1.compute.internal"
