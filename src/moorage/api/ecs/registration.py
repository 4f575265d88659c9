"""RegisterContainerInstance and DiscoverPollEndpoint: how a host's agent comes in.

An agent that has registered before brings its instance's ARN and is given the same instance, as long as that is not
deregistered. What it says then of the host replaces what it said before; attributes that a user has put stay.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.attributes import check_attributes, is_custom
from moorage.api.ecs.errors import ClientRefused, ClusterNotFound, InvalidParameter
from moorage.api.ecs.instance_shapes import (
    AttributeShape,
    ContainerInstanceShape,
    ResourceShape,
    VersionInfo,
    resources_asked,
    shown,
)
from moorage.api.ecs.lookup import active_cluster, cluster_arn
from moorage.api.ecs.tags import checked, merged
from moorage.base.dice import hex_id
from moorage.base.ids import ContainerInstanceArn
from moorage.model.cluster import Cluster
from moorage.model.container_instance import Attribute, ContainerInstance, Resources
from moorage.model.principal import is_node
from moorage.model.tags import Tag
from moorage.store import State, StateTx

# The published agent reports some 80 capabilities; this leaves room for as many again and custom ones.
ATTRIBUTES_MAX: Final = 256
# An identity document is some 500 bytes.
DOCUMENT_MAX_CHARS: Final = 4096

ZONE: Final = "ecs.availability-zone"
INSTANCE_TYPE: Final = "ecs.instance-type"
AMI: Final = "ecs.ami-id"
# Told of a host that is no EC2 instance, since expressions and consoles expect the two attributes everywhere.
NO_INSTANCE_TYPE: Final = "moorage.host"
NO_AMI: Final = "ami-00000000000000000"


class RegisterContainerInstanceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The document only describes the host. Who calls is known by the request's own signature, so the document's,
    made with a key of Amazon's, proves nothing that counts here and is left unread."""

    cluster: str | None = None
    container_instance_arn: str | None = None
    instance_identity_document: str | None = None
    instance_identity_document_signature: str | None = None
    total_resources: tuple[ResourceShape, ...] = ()
    version_info: VersionInfo | None = None
    attributes: tuple[AttributeShape, ...] = ()
    tags: tuple[Tag, ...] = ()


class RegisterContainerInstanceResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_instance: ContainerInstanceShape


class IdentityDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a cloud tells its instances of themselves, as far as it becomes attributes."""

    instance_id: str | None = None
    instance_type: str | None = None
    image_id: str | None = None
    availability_zone: str | None = None


def register_container_instance(
    call: Call, request: RegisterContainerInstanceRequest
) -> RegisterContainerInstanceResponse:
    """The host's instance, new or as it was, with every attribute that the agent sent: it checks them."""
    resources = resources_asked(request.total_resources)
    document = _document(request.instance_identity_document)
    sent = _attributes_sent(request)
    tags = checked(request.tags)
    with call.store.update() as tx:
        cluster = agents_cluster(tx, call, request.cluster)
        old = _registered_before(tx, call, cluster, request.container_instance_arn)
        kept = [one for one in old.attributes if is_custom(one.name)] if old else []
        attributes = {one.name: one for one in [*_host_attributes(call, cluster, document), *kept, *sent]}
        if old is None:
            instance = _new(call, cluster, resources)
        else:
            _check_same_type(old, attributes.get(INSTANCE_TYPE))
            instance = replace(old, registered=resources)
        instance = replace(
            instance,
            attributes=tuple(attributes[name] for name in sorted(attributes)),
            tags=merged(instance.tags, tags),
            **_told(request, document),
        )
        if old is not None and instance != old:
            instance = replace(instance, version=old.version + 1)
        if instance != old:
            tx.container_instances.put(instance)
        return RegisterContainerInstanceResponse(container_instance=shown(tx, instance, tags=True))


def agents_cluster(state: State | StateTx, call: Call, name: str | None) -> Cluster:
    """The ACTIVE cluster that the caller means; the fleet's own is there for agents alone."""
    cluster = state.clusters.get(cluster_arn(call.scope, name))
    own = cluster is not None and cluster.fargate and (cluster.account, cluster.region) == call.scope
    if cluster is not None and own and is_node(call.principal_arn):
        return cluster
    return active_cluster(state, call.scope, name)


def _instance_of(state: State | StateTx, call: Call, arn: str) -> ContainerInstance:
    """The instance of that ARN; the fleet's hosts are there for agents alone."""
    instance = state.container_instances.get(arn)
    if instance is None or (instance.account, instance.region) != call.scope:
        raise InvalidParameter(f"The container instance {arn} was not found.")
    if instance.fargate and not is_node(call.principal_arn):
        raise InvalidParameter(f"The container instance {arn} was not found.")
    return instance


def _registered_before(tx: StateTx, call: Call, cluster: Cluster, arn: str | None) -> ContainerInstance | None:
    if not arn:
        return None
    instance = _instance_of(tx, call, arn)
    if instance.cluster != cluster.arn:
        raise InvalidParameter(f"The container instance {arn} is not in the cluster {cluster.name}.")
    if instance.status == "INACTIVE":
        raise InvalidParameter(f"The container instance {arn} was deregistered. Register without an ARN.")
    return instance


def _check_same_type(old: ContainerInstance, claimed: Attribute | None) -> None:
    before = old.attribute(INSTANCE_TYPE)
    after = claimed.value if claimed else before
    if before != after:
        raise ClientRefused(
            "Container instance type changes are not supported. "
            f"Container instance {old.id} was previously registered as {before}."
        )


def _new(call: Call, cluster: Cluster, resources: Resources) -> ContainerInstance:
    instance_id = hex_id(call.dice)
    return ContainerInstance(
        arn=ContainerInstanceArn(call.scope.arn("ecs", f"container-instance/{cluster.name}/{instance_id}")),
        id=instance_id,
        account=call.scope.account,
        region=call.scope.region,
        cluster=cluster.arn,
        registered=resources,
        registered_at=call.now_s,
        fargate=cluster.fargate,
    )


def _told(request: RegisterContainerInstanceRequest, document: IdentityDocument) -> dict[str, str]:
    """The members of the instance that the request says something of."""
    told = request.version_info or VersionInfo()
    members = {
        "agent_version": told.agent_version,
        "agent_hash": told.agent_hash,
        "docker_version": told.docker_version,
        "ec2_instance_id": document.instance_id,
    }
    return {name: value for name, value in members.items() if value}


def _attributes_sent(request: RegisterContainerInstanceRequest) -> list[Attribute]:
    if len(request.attributes) > ATTRIBUTES_MAX:
        raise InvalidParameter(f"An instance can have at most {ATTRIBUTES_MAX} attributes.")
    check_attributes(request.attributes)
    if any(one.target_id or one.target_type for one in request.attributes):
        raise InvalidParameter("The attributes of a registration have no target but the instance itself.")
    return [Attribute(name=one.name, value=one.value) for one in request.attributes]


def _host_attributes(call: Call, cluster: Cluster, document: IdentityDocument) -> list[Attribute]:
    """What ECS adds by itself where the agent says nothing. A host of the fleet may stand for any zone."""
    if cluster.fargate:
        return []
    first_zone = f"{call.scope.region}{call.installation.zones[0]}"
    return [
        Attribute(name=ZONE, value=document.availability_zone or first_zone),
        Attribute(name=INSTANCE_TYPE, value=document.instance_type or NO_INSTANCE_TYPE),
        Attribute(name=AMI, value=document.image_id or NO_AMI),
    ]


def _document(text: str | None) -> IdentityDocument:
    """The document; agents outside a cloud send none, or an empty text."""
    if not text:
        return IdentityDocument()
    if len(text) > DOCUMENT_MAX_CHARS:
        raise InvalidParameter(f"instanceIdentityDocument is longer than {DOCUMENT_MAX_CHARS} characters.")
    try:
        return msgspec.json.decode(text, type=IdentityDocument)
    except msgspec.DecodeError as error:
        raise ClientRefused(f"instanceIdentityDocument cannot be read: {error}") from error


class DiscoverPollEndpointRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cluster: str | None = None
    container_instance: str | None = None


class DiscoverPollEndpointResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    endpoint: str
    telemetry_endpoint: str


def discover_poll_endpoint(call: Call, request: DiscoverPollEndpointRequest) -> DiscoverPollEndpointResponse:
    """Where the agent opens its two websockets: agents add `/ws` to each. They keep the answer for twelve hours."""
    state = call.store.view()
    if request.cluster:
        try:
            agents_cluster(state, call, request.cluster)
        except ClusterNotFound as error:  # this operation's model has no such error
            raise ClientRefused(error.message) from error
    arn = request.container_instance
    if arn and arn.startswith("arn:"):
        _instance_of(state, call, arn)
    endpoint = call.installation.endpoint
    return DiscoverPollEndpointResponse(endpoint=f"{endpoint}/acs", telemetry_endpoint=f"{endpoint}/tcs")
