"""Tags on what exists: TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import ClusterNotFound, InvalidParameter
from moorage.api.ecs.lookup import find_cluster
from moorage.api.ecs.tags import checked, merged
from moorage.base.ids import Arn, Scope
from moorage.model.cluster import Cluster
from moorage.model.container_instance import ContainerInstance
from moorage.model.tags import Tag, Tags
from moorage.model.task import Task
from moorage.model.task_definition import TaskDefinition
from moorage.store import State, StateTx

Tagged = Cluster | Task | TaskDefinition | ContainerInstance

_INACTIVE_CLUSTER = "The specified cluster is inactive. Specify an active cluster and try again."
_SHORT_ARN = "Long arn format must be used for tagging operations"


class NoAnswer(msgspec.Struct, frozen=True):
    """An answer without members."""


class TagResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str
    tags: tuple[Tag, ...]


def tag_resource(call: Call, request: TagResourceRequest) -> NoAnswer:
    """Tags with the same keys are replaced, the others stay."""
    added = checked(request.tags)
    with call.store.update() as tx:
        tagged = _find(tx, call.scope, request.resource_arn)
        _put(tx, tagged, merged(tagged.tags, added))
    return NoAnswer()


class UntagResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str
    tag_keys: tuple[str, ...]


def untag_resource(call: Call, request: UntagResourceRequest) -> NoAnswer:
    """A key that is not there is passed over; those that the platform sets stay."""
    if any(key.lower().startswith("aws:") for key in request.tag_keys):
        raise InvalidParameter("Tag keys starting with aws: are reserved for system use.")
    with call.store.update() as tx:
        tagged = _find(tx, call.scope, request.resource_arn)
        _put(tx, tagged, tuple(tag for tag in tagged.tags if tag.key not in request.tag_keys))
    return NoAnswer()


class ListTagsForResourceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_arn: str


class ListTagsForResourceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    tags: Tags


def list_tags_for_resource(call: Call, request: ListTagsForResourceRequest) -> ListTagsForResourceAnswer:
    """The tags of a resource."""
    return ListTagsForResourceAnswer(tags=_find(call.store.view(), call.scope, request.resource_arn).tags)


def _put(tx: StateTx, tagged: Tagged, tags: Tags) -> None:
    match tagged:
        case Cluster():
            tx.clusters.put(msgspec.structs.replace(tagged, tags=tags))
        case Task():
            tx.tasks.put(msgspec.structs.replace(tagged, tags=tags))
        case TaskDefinition():
            tx.task_definitions.put(msgspec.structs.replace(tagged, tags=tags))
        case ContainerInstance():
            tx.container_instances.put(msgspec.structs.replace(tagged, tags=tags))


def _find(state: State | StateTx, scope: Scope, arn: str) -> Tagged:
    """The resource of that ARN, in the caller's own account and region."""
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "ecs":
        raise InvalidParameter(f"Invalid resource ARN: {arn}")
    kind, _, rest = parsed.resource.partition("/")
    if kind == "cluster":
        return _cluster(state, scope, arn)
    if kind == "task-definition":
        return _known(scope, state.task_definitions.get(arn), "task definition")
    if kind not in ("task", "container-instance"):
        raise InvalidParameter(f"There is no resource with the ARN {arn}.")
    if "/" not in rest:
        raise InvalidParameter(_SHORT_ARN)
    cluster = _cluster(state, scope, scope.arn("ecs", f"cluster/{rest.partition('/')[0]}"))
    if kind == "task":
        return _known(scope, state.tasks.get(arn), "task")
    instance = state.container_instances.get(arn)
    return _known(scope, instance if instance and instance.cluster == cluster.arn else None, "container instance")


def _cluster(state: State | StateTx, scope: Scope, arn: str) -> Cluster:
    cluster = find_cluster(state, scope, arn)
    if cluster is None:
        raise ClusterNotFound
    if cluster.status != "ACTIVE":
        raise InvalidParameter(_INACTIVE_CLUSTER)
    return cluster


def _known(scope: Scope, found: Tagged | None, kind: str) -> Tagged:
    if found is None or (found.account, found.region) != scope:
        raise InvalidParameter(f"The specified {kind} was not found. Specify a valid ARN and try again.")
    return found
