"""Log groups and their retention."""

from __future__ import annotations

import pytest

from moorage.api.call import Call
from moorage.api.logs.groups import (
    CreateLogGroupRequest,
    DeleteLogGroupRequest,
    DeleteRetentionPolicyRequest,
    DescribeLogGroupsRequest,
    LogGroupOut,
    PutRetentionPolicyRequest,
    create_log_group,
    delete_log_group,
    delete_retention_policy,
    describe_log_groups,
    put_retention_policy,
)
from moorage.base.errors import Refused
from moorage.base.ids import Region
from tests.unit.api.logs.logged import GROUP, NOW_MS, STREAM, a_call, add_stream, done, get, messages, put
from tests.unit.support import later, make_call


def groups(call: Call, prefix: str | None = None, part: str | None = None) -> list[LogGroupOut]:
    request = DescribeLogGroupsRequest(log_group_name_prefix=prefix, log_group_name_pattern=part)
    return list(done(describe_log_groups(call, request)).log_groups)


def test_a_group_is_described_as_it_was_created() -> None:
    call = a_call(STREAM)
    put(call, (0, "12345"))
    (group,) = groups(call)
    assert group.log_group_arn == f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert group.arn == f"{group.log_group_arn}:*"
    assert (group.creation_time, group.retention_in_days, group.stored_bytes) == (NOW_MS, None, 5)


def test_a_second_group_of_the_name_is_refused_in_this_region_only() -> None:
    call = a_call()
    with pytest.raises(Refused, match="ResourceAlreadyExistsException: The specified log group already exists"):
        create_log_group(call, CreateLogGroupRequest(log_group_name=GROUP))
    create_log_group(make_call(call.store, region=Region("eu-west-1")), CreateLogGroupRequest(log_group_name=GROUP))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a*", "é", "x" * 513])
def test_a_name_that_breaks_the_rules_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="logGroupName"):
        create_log_group(a_call(), CreateLogGroupRequest(log_group_name=name))


def test_groups_are_found_by_prefix_or_by_part_but_not_both() -> None:
    call = a_call()
    create_log_group(call, CreateLogGroupRequest(log_group_name="/other/web"))
    assert [group.log_group_name for group in groups(call, prefix="/ecs")] == [GROUP]
    assert len(groups(call, part="web")) == 2
    with pytest.raises(Refused, match="mutually exclusive"):
        groups(call, prefix="/ecs", part="web")


def test_groups_come_in_pages_of_fifty_in_order_of_name() -> None:
    call = a_call()
    for number in range(60):
        create_log_group(call, CreateLogGroupRequest(log_group_name=f"g{number:02}"))
    first = done(describe_log_groups(call, DescribeLogGroupsRequest()))
    second = done(describe_log_groups(call, DescribeLogGroupsRequest(next_token=first.next_token)))
    names = [group.log_group_name for group in (*first.log_groups, *second.log_groups)]
    assert (len(first.log_groups), second.next_token) == (50, None)
    assert names == [GROUP, *(f"g{number:02}" for number in range(60))]
    for bad in (DescribeLogGroupsRequest(limit=51), DescribeLogGroupsRequest(next_token="zz")):
        with pytest.raises(Refused):
            describe_log_groups(call, bad)


def test_deleting_a_group_takes_its_streams_and_events() -> None:
    call = a_call(STREAM)
    put(call, (0, "gone"))
    delete_log_group(call, DeleteLogGroupRequest(log_group_name=GROUP))
    assert not len(call.store.view().log_streams)
    with pytest.raises(Refused, match=r"ResourceNotFoundException: The specified log group does not exist\."):
        delete_log_group(call, DeleteLogGroupRequest(log_group_name=GROUP))
    create_log_group(call, CreateLogGroupRequest(log_group_name=GROUP))
    add_stream(call, STREAM)
    assert messages(get(call)) == []


def test_retention_is_one_of_the_offered_spans() -> None:
    call = a_call()
    put_retention_policy(call, PutRetentionPolicyRequest(log_group_name=GROUP, retention_in_days=7))
    assert groups(call)[0].retention_in_days == 7
    with pytest.raises(Refused, match="retentionInDays"):
        put_retention_policy(call, PutRetentionPolicyRequest(log_group_name=GROUP, retention_in_days=8))
    delete_retention_policy(call, DeleteRetentionPolicyRequest(log_group_name=GROUP))
    assert groups(call)[0].retention_in_days is None


def test_what_is_past_its_retention_is_hidden_at_once() -> None:
    call = a_call(STREAM)
    put(call, (-2 * 86_400_000, "old"))
    put(call, (0, "young"))
    put_retention_policy(call, PutRetentionPolicyRequest(log_group_name=GROUP, retention_in_days=1))
    assert messages(get(call, start=0)) == ["young"]
    assert messages(get(later(call, 2 * 86_400))) == []
