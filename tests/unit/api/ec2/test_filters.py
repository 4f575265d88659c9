"""Filters, identifiers, pages and dry runs: what all Describe calls share."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ec2.filters import Filter
from moorage.api.ec2.subnets import DescribeSubnetsRequest, describe_subnets
from moorage.base.errors import Refused
from moorage.model.tags import Tag
from tests.unit.api.ec2.installed import a_call


def zones(call: Call, *filters: tuple[str, tuple[str, ...]]) -> str:
    """The letters of the zones whose subnets pass the filters."""
    chosen = tuple(Filter(name=name, values=values) for name, values in filters)
    subnets = describe_subnets(call, DescribeSubnetsRequest(filters=chosen)).subnets
    return "".join(sorted(subnet.availability_zone[-1] for subnet in subnets))


def test_filters_are_anded_and_their_values_ored() -> None:
    call = a_call()
    assert zones(call, ("availability-zone", ("us-east-1a", "us-east-1b"))) == "ab"
    assert (
        zones(call, ("availability-zone", ("us-east-1a", "us-east-1b")), ("cidr-block", ("172.31.16.0/20",))) == "b"
    )


def test_stars_and_question_marks_are_wildcards_and_a_backslash_makes_them_plain() -> None:
    call = a_call()
    assert zones(call, ("availability-zone", ("us-*",))) == "abc"
    assert zones(call, ("cidr-block", ("172.31.??.0/20",))) == "bc"
    assert zones(call, ("availability-zone", (r"us-\*",))) == ""
    assert zones(call, ("availability-zone", ("*" * 300 + "b",))) == "b"


def test_values_are_case_sensitive() -> None:
    assert zones(a_call(), ("state", ("Available",))) == ""


def test_tags_are_found_by_key_and_by_value() -> None:
    call = a_call()
    with call.store.update() as tx:
        first = next(iter(tx.subnets))
        tx.subnets.put(replace(first, tags=(Tag(key="team", value="web:1"),)))
    assert zones(call, ("tag:team", ("web:*",))) == "a"
    assert zones(call, ("tag-key", ("team",))) == "a"
    assert zones(call, ("tag:team", ("other",))) == ""


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (DescribeSubnetsRequest(filters=(Filter(name="colour", values=("red",)),)), "InvalidParameterValue"),
        (DescribeSubnetsRequest(filters=(Filter(name="state"),)), "InvalidParameterValue"),
        (DescribeSubnetsRequest(filters=(Filter(name="state", values=("x",) * 201),)), "FilterLimitExceeded"),
        (DescribeSubnetsRequest(subnet_ids=("subnet-1",)), "InvalidSubnetID.NotFound"),
        (DescribeSubnetsRequest(max_results=4), "InvalidParameterValue"),
        (DescribeSubnetsRequest(next_token="what?"), "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_answered_is_refused(request_: DescribeSubnetsRequest, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        describe_subnets(a_call(), request_)
    assert refusal.value.code == code


def test_missing_identifiers_are_named() -> None:
    call = a_call()
    there = next(iter(call.store.view().subnets)).id
    with pytest.raises(Refused, match="The subnet ID 'subnet-1' does not exist"):
        describe_subnets(call, DescribeSubnetsRequest(subnet_ids=(there, "subnet-1")))
    with pytest.raises(Refused, match="The subnet IDs 'subnet-1, subnet-2' do not exist"):
        describe_subnets(call, DescribeSubnetsRequest(subnet_ids=("subnet-1", "subnet-2")))


def test_a_dry_run_ends_with_412_but_only_where_the_call_would_have_succeeded() -> None:
    with pytest.raises(Refused) as refusal:
        describe_subnets(a_call(), DescribeSubnetsRequest(dry_run=True))
    assert (refusal.value.code, refusal.value.status) == ("DryRunOperation", 412)
    with pytest.raises(Refused, match="does not exist"):
        describe_subnets(a_call(), DescribeSubnetsRequest(dry_run=True, subnet_ids=("subnet-1",)))
