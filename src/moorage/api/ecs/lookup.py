"""Finding what a caller names: a short name, an id or an ARN, in the caller's own account and region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from moorage.api.call import cut, key_of, page
from moorage.api.ecs.errors import ClusterNotFound, InvalidParameter
from moorage.base.ids import Arn, Scope
from moorage.model.cluster import Cluster
from moorage.store.state import State, StateTx

DEFAULT_CLUSTER: Final = "default"
PAGE_MAX: Final = 100  # of most List calls, and their default


def cluster_arn(scope: Scope, name: str | None) -> str:
    """The ARN that a `cluster` member means; an absent one means the cluster `default`."""
    name = name or DEFAULT_CLUSTER
    return name if name.startswith("arn:") else scope.arn("ecs", f"cluster/{name}")


def find_cluster(state: State | StateTx, scope: Scope, name: str | None) -> Cluster | None:
    """The cluster of that name or ARN that the caller may see, ACTIVE or INACTIVE."""
    cluster = state.clusters.get(cluster_arn(scope, name))
    if cluster is None or cluster.fargate or (cluster.account, cluster.region) != scope:
        return None
    return cluster


def active_cluster(state: State | StateTx, scope: Scope, name: str | None) -> Cluster:
    """The ACTIVE cluster of that name or ARN; refused with ClusterNotFoundException otherwise."""
    cluster = find_cluster(state, scope, name)
    if cluster is None:
        raise ClusterNotFound
    if cluster.status != "ACTIVE":
        raise ClusterNotFound("The referenced cluster was inactive.")
    return cluster


def member_arn(scope: Scope, kind: str, cluster: Cluster, name: str) -> str:
    """The ARN of a cluster's task or container instance, given as a short id or an ARN.

    Refused with InvalidParameterException where an ARN names another cluster.
    """
    if not name.startswith("arn:"):
        return scope.arn("ecs", f"{kind}/{cluster.name}/{name}")
    arn = Arn.parse(name)
    fields = arn.resource.split("/") if arn else []
    if arn is None or arn.service != "ecs" or fields[0] != kind or len(fields) not in (2, 3):
        raise InvalidParameter(f"Invalid identifier: {name}")
    if len(fields) == 2:  # the short form of before 2018
        return scope.arn("ecs", f"{kind}/{cluster.name}/{fields[1]}")
    if fields[1] != cluster.name:
        raise InvalidParameter(f"Identifier is for cluster {fields[1]}. Your cluster is {cluster.name}")
    return name


def list_page(
    keys: list[str], token: str | None, asked: int | None, *, largest: int = PAGE_MAX
) -> tuple[list[str], str | None]:
    """A page of `keys` in the order of their text; refuses a bad token or size as every List call does."""
    size = _page_size(asked, largest)
    try:
        chosen, following = page(sorted(keys), token, size)
    except ValueError as error:
        raise InvalidParameter("Invalid token") from error
    return list(chosen), following


def walked_page(
    keys_after: Callable[[str], Iterator[str]], token: str | None, asked: int | None
) -> tuple[list[str], str | None]:
    """As `list_page`, from keys that are in order already: only as many are looked at as the page needs."""
    size = _page_size(asked, PAGE_MAX)
    try:
        after = key_of(token) if token else ""
    except ValueError as error:
        raise InvalidParameter("Invalid token") from error
    chosen, following = cut(list(islice(keys_after(after), size + 1)), size)
    return list(chosen), following


def _page_size(asked: int | None, largest: int) -> int:
    if asked is not None and not 1 <= asked <= largest:
        raise InvalidParameter(f"maxResults must be between 1 and {largest}")
    return asked or largest
