"""Tags on log groups: by the group's name, as it was first, and by ARN, as it is now.

Source: CloudWatch Logs API, TagResource and TagLogGroup.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.logs.errors import InvalidParameter, TooManyTags
from moorage.api.logs.lookup import find_group, find_group_by_arn
from moorage.model.log import LogGroup
from moorage.model.tags import Tag, Tags
from moorage.store import StateTx

TAGS_MAX: Final = 50  # per group; AWS's own number
KEY_MAX_CHARS: Final = 128
VALUE_MAX_CHARS: Final = 256


def checked(tags: Mapping[str, str]) -> Tags:
    """The tags of a request; refused where one breaks a rule."""
    for key, value in tags.items():
        if not 1 <= len(key) <= KEY_MAX_CHARS:
            raise InvalidParameter(f"Tag keys must be between 1 and {KEY_MAX_CHARS} characters long.")
        if len(value) > VALUE_MAX_CHARS:
            raise InvalidParameter(f"Tag values must be at most {VALUE_MAX_CHARS} characters long.")
        if key.lower().startswith("aws:"):
            raise InvalidParameter("Tag keys starting with aws: are reserved for system use.")
    if len(tags) > TAGS_MAX:
        raise TooManyTags(f"A log group can have at most {TAGS_MAX} tags.")
    return tuple(Tag(key=key, value=value) for key, value in tags.items())


def _tag(tx: StateTx, group: LogGroup, tags: Mapping[str, str]) -> None:
    together = {tag.key: tag.value for tag in group.tags} | dict(tags)
    tx.log_groups.put(msgspec.structs.replace(group, tags=checked(together)))


def _untag(tx: StateTx, group: LogGroup, keys: Collection[str]) -> None:
    left = tuple(tag for tag in group.tags if tag.key not in keys)
    tx.log_groups.put(msgspec.structs.replace(group, tags=left))


class TagResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str
    tags: dict[str, str]


def tag_resource(call: Call, request: TagResourceRequest) -> None:
    with call.store.update() as tx:
        _tag(tx, find_group_by_arn(tx, call.scope, request.resource_arn), request.tags)


class UntagResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str
    tag_keys: tuple[str, ...]


def untag_resource(call: Call, request: UntagResourceRequest) -> None:
    with call.store.update() as tx:
        _untag(tx, find_group_by_arn(tx, call.scope, request.resource_arn), request.tag_keys)


class ListTagsForResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str


class TagsResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    tags: dict[str, str]


def list_tags_for_resource(call: Call, request: ListTagsForResourceRequest) -> TagsResponse:
    return _tags_out(find_group_by_arn(call.store.view(), call.scope, request.resource_arn))


class TagLogGroupRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    tags: dict[str, str]


def tag_log_group(call: Call, request: TagLogGroupRequest) -> None:
    with call.store.update() as tx:
        try:
            _tag(tx, find_group(tx, call.scope, request.log_group_name), request.tags)
        except TooManyTags as error:  # the older operation knows no such code
            raise InvalidParameter(error.message) from error


class UntagLogGroupRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    tags: tuple[str, ...]


def untag_log_group(call: Call, request: UntagLogGroupRequest) -> None:
    with call.store.update() as tx:
        _untag(tx, find_group(tx, call.scope, request.log_group_name), request.tags)


class ListTagsLogGroupRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str


def list_tags_log_group(call: Call, request: ListTagsLogGroupRequest) -> TagsResponse:
    return _tags_out(find_group(call.store.view(), call.scope, request.log_group_name))


def _tags_out(group: LogGroup) -> TagsResponse:
    return TagsResponse(tags={tag.key: tag.value for tag in group.tags})
