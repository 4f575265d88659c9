"""Lists of task definitions: ListTaskDefinitions, ListTaskDefinitionFamilies."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import ClientRefused, InvalidParameter
from moorage.api.ecs.lookup import list_page
from moorage.api.ecs.task_definition_lookup import parse_name
from moorage.model.task_definition import DefinitionStatus

PAGE_MAX: Final = 100  # AWS's own, and its default
_STATUSES: Final[dict[str, DefinitionStatus]] = {
    "ACTIVE": "ACTIVE",
    "INACTIVE": "INACTIVE",
    "DELETE_IN_PROGRESS": "DELETE_IN_PROGRESS",
}
_FAMILY_STATUSES: Final = ("ACTIVE", "INACTIVE", "ALL")

Revision = tuple[str, int]
"""Family and number; sorts as lists are sorted."""


class ListTaskDefinitionsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    family_prefix: str | None = None
    status: str | None = None
    sort: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListTaskDefinitionsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definition_arns: list[str]
    next_token: str | None = None


def list_task_definitions(call: Call, request: ListTaskDefinitionsRequest) -> ListTaskDefinitionsAnswer:
    """By family, then by number; `familyPrefix` is the whole name of a family, whatever it is called."""
    status = _STATUSES.get(request.status or "ACTIVE")
    if status is None:
        raise InvalidParameter(f"Unknown status {request.status}; known are {', '.join(_STATUSES)}.")
    if request.sort not in (None, "", "ASC", "DESC"):
        raise InvalidParameter(f"Unknown sort {request.sort}; known are ASC, DESC.")
    table = call.store.view().task_definitions
    if request.family_prefix:
        among = table.by("family", (*call.scope, request.family_prefix))
    else:
        among = table.by("scope", call.scope)
    revisions = sorted((one.family, one.revision) for one in among if one.status == status)
    chosen, following = _page(call, revisions, request)
    return ListTaskDefinitionsAnswer(
        task_definition_arns=[
            call.scope.arn("ecs", f"task-definition/{family}:{revision}") for family, revision in chosen
        ],
        next_token=following,
    )


def _page(
    call: Call, revisions: Sequence[Revision], request: ListTaskDefinitionsRequest
) -> tuple[Sequence[Revision], str | None]:
    """Revisions go by number, not by text, so the token is the last one's name."""
    size = PAGE_MAX if request.max_results is None else request.max_results
    if not 1 <= size <= PAGE_MAX:
        raise InvalidParameter(f"maxResults must be between 1 and {PAGE_MAX}")
    last = _read_token(call, request.next_token) if request.next_token else None
    if request.sort == "DESC":
        end = len(revisions) if last is None else bisect_left(revisions, last)
        left = list(reversed(revisions[:end]))
    else:
        left = list(revisions[0 if last is None else bisect_right(revisions, last) :])
    chosen = left[:size]
    following = f"{chosen[-1][0]}:{chosen[-1][1]}".encode().hex() if len(left) > size else None
    return chosen, following


def _read_token(call: Call, token: str) -> Revision:
    try:
        name = parse_name(call.scope, bytes.fromhex(token).decode())
    except (ValueError, ClientRefused) as error:
        raise InvalidParameter("Invalid token") from error
    if name is None or name.revision is None:
        raise InvalidParameter("Invalid token")
    return name.family, name.revision


class ListTaskDefinitionFamiliesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    family_prefix: str | None = None
    status: str | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListTaskDefinitionFamiliesAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    families: list[str]
    next_token: str | None = None


def list_task_definition_families(
    call: Call, request: ListTaskDefinitionFamiliesRequest
) -> ListTaskDefinitionFamiliesAnswer:
    """ACTIVE families have an ACTIVE revision, INACTIVE ones only others; without a status both are listed."""
    status = request.status or "ALL"
    if status not in _FAMILY_STATUSES:
        raise InvalidParameter(f"Unknown status {status}; known are {', '.join(_FAMILY_STATUSES)}.")
    state = call.store.view()
    table = state.task_definitions
    names = []
    for family in state.task_families.by("scope", call.scope):
        key = (*call.scope, family.name)
        if not family.name.startswith(request.family_prefix or "") or not table.count("family", key):
            continue  # a family all of whose revisions are deleted is remembered, not shown
        if status in ("ALL", "ACTIVE" if table.count("active", key) else "INACTIVE"):
            names.append(family.name)
    chosen, following = list_page(names, request.next_token, request.max_results)
    return ListTaskDefinitionFamiliesAnswer(families=chosen, next_token=following)
