"""The network a region begins with."""

import re

import pytest

from moorage.api.ec2.default_vpc import create_default_vpc
from moorage.api.ec2.zones import zone_id
from moorage.store import Store
from moorage.store.journal import MemoryJournal
from tests.unit.api.ec2.installed import a_call
from tests.unit.records import SCOPE
from tests.unit.support import SeededDice


def test_it_has_a_subnet_of_4096_addresses_in_each_zone() -> None:
    state = a_call().store.view()
    (vpc,) = state.vpcs
    assert re.fullmatch(r"vpc-[0-9a-f]{17}", vpc.id)
    assert vpc.is_default
    assert [(s.cidr, s.availability_zone, s.availability_zone_id, s.default_for_az) for s in state.subnets] == [
        ("172.31.0.0/20", "us-east-1a", "use1-az1", True),
        ("172.31.16.0/20", "us-east-1b", "use1-az2", True),
        ("172.31.32.0/20", "us-east-1c", "use1-az3", True),
    ]


def test_its_default_group_lets_members_in_and_everything_out() -> None:
    (group,) = a_call().store.view().security_groups
    inward, outward = group.rules
    assert (inward.egress, inward.protocol, inward.group, inward.cidr) == (False, "-1", group.id, None)
    assert (outward.egress, outward.protocol, outward.group, outward.cidr) == (True, "-1", None, "0.0.0.0/0")
    assert inward.id != outward.id


def test_making_it_again_changes_nothing() -> None:
    call = a_call()
    seq = call.store.view().seq
    with call.store.update() as tx:
        again = create_default_vpc(tx, call.scope, "10.0.0.0/16", "abc", call.dice)
    assert again.cidr == "172.31.0.0/16"
    assert call.store.view().seq == seq


def test_a_smaller_network_is_shared_out_among_the_zones() -> None:
    store = Store(MemoryJournal())
    with store.update() as tx:
        create_default_vpc(tx, SCOPE, "10.9.0.0/22", "abc", SeededDice())
    assert [subnet.cidr for subnet in store.view().subnets] == ["10.9.0.0/24", "10.9.1.0/24", "10.9.2.0/24"]


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/27", "10.0.0.1/16", "nonsense", "fd00::/16"])
def test_a_network_that_cannot_be_a_vpc_is_refused(cidr: str) -> None:
    store = Store(MemoryJournal())
    with pytest.raises(ValueError), store.update() as tx:
        create_default_vpc(tx, SCOPE, cidr, "abc", SeededDice())
    assert not len(store.view().vpcs)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-east-1", "use1-az1"),
        ("eu-central-1", "euc1-az1"),
        ("ap-southeast-2", "apse2-az1"),
        ("us-gov-west-1", "usgw1-az1"),
        ("cn-north-1", "cnn1-az1"),
        ("il-central-1", "ilc1-az1"),
    ],
)
def test_zone_ids_are_derived_from_region_names_as_in_aws(region: str, expected: str) -> None:
    assert zone_id(region, "a") == expected
