"""Tags on groups, by name and by ARN."""

from __future__ import annotations

import pytest

from moorage.api.logs.groups import CreateLogGroupRequest, create_log_group
from moorage.api.logs.tags import (
    ListTagsForResourceRequest,
    ListTagsLogGroupRequest,
    TagLogGroupRequest,
    TagResourceRequest,
    UntagLogGroupRequest,
    UntagResourceRequest,
    list_tags_for_resource,
    list_tags_log_group,
    tag_log_group,
    tag_resource,
    untag_log_group,
    untag_resource,
)
from moorage.base.errors import Refused
from tests.unit.api.logs.logged import GROUP, a_call

ARN = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"


@pytest.mark.parametrize("arn", [ARN, f"{ARN}:*"])
def test_an_arn_may_end_with_a_star_or_not(arn: str) -> None:
    call = a_call()
    tag_resource(call, TagResourceRequest(resource_arn=arn, tags={"team": "a", "stage": "b"}))
    untag_resource(call, UntagResourceRequest(resource_arn=arn, tag_keys=("team", "absent")))
    assert list_tags_for_resource(call, ListTagsForResourceRequest(resource_arn=arn)).tags == {"stage": "b"}


def test_the_older_operations_see_the_same_tags() -> None:
    call = a_call()
    tag_log_group(call, TagLogGroupRequest(log_group_name=GROUP, tags={"team": "a", "stage": "b"}))
    tag_log_group(call, TagLogGroupRequest(log_group_name=GROUP, tags={"team": "c"}))
    untag_log_group(call, UntagLogGroupRequest(log_group_name=GROUP, tags=("stage",)))
    assert list_tags_log_group(call, ListTagsLogGroupRequest(log_group_name=GROUP)).tags == {"team": "c"}
    assert list_tags_for_resource(call, ListTagsForResourceRequest(resource_arn=ARN)).tags == {"team": "c"}


def test_a_group_is_born_with_the_tags_of_its_creation() -> None:
    call = a_call()
    create_log_group(call, CreateLogGroupRequest(log_group_name="tagged", tags={"a": "1"}))
    assert list_tags_log_group(call, ListTagsLogGroupRequest(log_group_name="tagged")).tags == {"a": "1"}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"": "x"}, "InvalidParameterException"),
        ({"k" * 129: "x"}, "InvalidParameterException"),
        ({"k": "v" * 257}, "InvalidParameterException"),
        ({"aws:k": "v"}, "InvalidParameterException"),
        ({f"k{n}": "v" for n in range(51)}, "TooManyTagsException"),
    ],
)
def test_tags_that_break_a_rule_are_refused_and_change_nothing(tags: dict[str, str], code: str) -> None:
    call = a_call()
    with pytest.raises(Refused) as refusal:
        tag_resource(call, TagResourceRequest(resource_arn=ARN, tags=tags))
    assert refusal.value.code == code
    with pytest.raises(Refused) as refusal:
        tag_log_group(call, TagLogGroupRequest(log_group_name=GROUP, tags=tags))
    assert refusal.value.code == "InvalidParameterException"
    assert list_tags_for_resource(call, ListTagsForResourceRequest(resource_arn=ARN)).tags == {}


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("nonsense", "InvalidParameterException"),
        (f"{ARN}x", "ResourceNotFoundException"),
        (ARN.replace("us-east-1", "eu-west-1"), "ResourceNotFoundException"),
        (ARN.replace("log-group", "destination"), "ResourceNotFoundException"),
    ],
)
def test_an_arn_of_nothing_here_is_refused(arn: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        list_tags_for_resource(a_call(), ListTagsForResourceRequest(resource_arn=arn))
    assert refusal.value.code == code
