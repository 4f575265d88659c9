"""Attributes of container instances: PutAttributes, DeleteAttributes, ListAttributes.

What an agent reports of its host and its capabilities is not for users to change; see `is_custom`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.errors import AttributeLimitExceeded, InvalidParameter, TargetNotFound
from moorage.api.ecs.instance_shapes import AttributeShape
from moorage.api.ecs.lookup import active_cluster, list_page, member_arn
from moorage.model.cluster import Cluster
from moorage.model.container_instance import Attribute, ContainerInstance
from moorage.store import StateTx

PER_CALL_MAX: Final = 10
CUSTOM_PER_TARGET_MAX: Final = 10
TARGET_TYPE: Final = "container-instance"
_NAME = re.compile(r"[A-Za-z0-9\-_./\\]{1,128}")
_VALUE = re.compile(r"(?! )[A-Za-z0-9\-_./\\@: ]{1,128}(?<! )")
_RESERVED: Final = ("ecs.", "com.amazonaws.", "moorage.")
_TARGET_NOT_FOUND: Final = (
    "The specified target wasn't found. You can view your available container instances with ListContainerInstances."
)


class PutAttributesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    attributes: tuple[AttributeShape, ...]
    cluster: str | None = None


class PutAttributesResponse(msgspec.Struct, frozen=True, kw_only=True):
    attributes: tuple[AttributeShape, ...]


class DeleteAttributesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    attributes: tuple[AttributeShape, ...]
    cluster: str | None = None


class DeleteAttributesResponse(msgspec.Struct, frozen=True, kw_only=True):
    attributes: tuple[AttributeShape, ...]


class ListAttributesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    target_type: str
    cluster: str | None = None
    attribute_name: str | None = None
    attribute_value: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListAttributesResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    attributes: tuple[AttributeShape, ...]
    next_token: str | None = None


def is_custom(name: str) -> bool:
    """Whether users put the attribute, and not the agent or ECS."""
    return not name.startswith(_RESERVED)


def check_attributes(attributes: Sequence[AttributeShape]) -> None:
    """Names and values by ECS's rules; refused with InvalidParameterException."""
    for one in attributes:
        if not _NAME.fullmatch(one.name):
            raise InvalidParameter(f"The attribute name {one.name!r} is not valid.")
        if one.value and not _VALUE.fullmatch(one.value):
            raise InvalidParameter(f"The value of the attribute {one.name} is not valid.")


def put_attributes(call: Call, request: PutAttributesRequest) -> PutAttributesResponse:
    """All of them or none."""
    _check_request(request.attributes)
    done = []
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        for asked in request.attributes:
            instance = _target(tx, call, cluster, asked)
            attributes = {one.name: one for one in instance.attributes}
            attributes[asked.name] = Attribute(name=asked.name, value=asked.value)
            if sum(is_custom(name) for name in attributes) > CUSTOM_PER_TARGET_MAX:
                raise AttributeLimitExceeded(
                    f"A resource can have at most {CUSTOM_PER_TARGET_MAX} custom attributes: {instance.arn}."
                )
            _put(tx, instance, tuple(attributes.values()))
            done.append(_shown(instance, attributes[asked.name]))
    return PutAttributesResponse(attributes=tuple(done))


def delete_attributes(call: Call, request: DeleteAttributesRequest) -> DeleteAttributesResponse:
    """Answers those that were there."""
    _check_request(request.attributes)
    done = []
    with call.store.update() as tx:
        cluster = active_cluster(tx, call.scope, request.cluster)
        for asked in request.attributes:
            instance = _target(tx, call, cluster, asked)
            gone = [one for one in instance.attributes if _matches(one, asked.name, asked.value)]
            if gone:
                _put(tx, instance, tuple(one for one in instance.attributes if one not in gone))
                done += [_shown(instance, one) for one in gone]
    return DeleteAttributesResponse(attributes=tuple(done))


def list_attributes(call: Call, request: ListAttributesRequest) -> ListAttributesResponse:
    """Of all instances of the cluster, those that an agent reported included."""
    if request.target_type != TARGET_TYPE:
        raise InvalidParameter(f"targetType must be {TARGET_TYPE}.")
    if request.attribute_value and not request.attribute_name:
        raise InvalidParameter("attributeName must be specified with attributeValue.")
    state = call.store.view()
    cluster = active_cluster(state, call.scope, request.cluster)
    found = {
        f"{instance.arn} {one.name}": _shown(instance, one)
        for instance in state.container_instances.by("cluster", cluster.arn)
        for one in instance.attributes
        if request.attribute_name is None or _matches(one, request.attribute_name, request.attribute_value)
    }
    keys, following = list_page(list(found), request.next_token, request.max_results)
    return ListAttributesResponse(attributes=tuple(found[key] for key in keys), next_token=following)


def _check_request(attributes: Sequence[AttributeShape]) -> None:
    if not 1 <= len(attributes) <= PER_CALL_MAX:
        raise InvalidParameter(f"Between 1 and {PER_CALL_MAX} attributes can be specified.")
    check_attributes(attributes)
    for one in attributes:
        if not is_custom(one.name):
            raise InvalidParameter(f"The attribute {one.name} is reserved: its name begins with a reserved word.")


def _target(tx: StateTx, call: Call, cluster: Cluster, asked: AttributeShape) -> ContainerInstance:
    if asked.target_type not in (None, "", TARGET_TYPE):
        raise InvalidParameter(f"targetType must be {TARGET_TYPE}.")
    if not asked.target_id:
        raise InvalidParameter("targetId must be specified.")
    if not asked.target_id.startswith("arn:") and not asked.target_type:
        raise InvalidParameter("targetType must be specified with the short form of targetId.")
    instance = tx.container_instances.get(member_arn(call.scope, TARGET_TYPE, cluster, asked.target_id))
    if instance is None or instance.status == "INACTIVE" or instance.cluster != cluster.arn:
        raise TargetNotFound(_TARGET_NOT_FOUND)
    return instance


def _matches(attribute: Attribute, name: str, value: str | None) -> bool:
    return attribute.name == name and (not value or attribute.value == value)


def _put(tx: StateTx, instance: ContainerInstance, attributes: tuple[Attribute, ...]) -> None:
    if attributes != instance.attributes:
        tx.container_instances.put(replace(instance, attributes=attributes, version=instance.version + 1))


def _shown(instance: ContainerInstance, attribute: Attribute) -> AttributeShape:
    return AttributeShape(name=attribute.name, value=attribute.value, target_type=TARGET_TYPE, target_id=instance.arn)
