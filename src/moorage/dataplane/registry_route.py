"""What a request to the registry is about: its path and query, read."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

import msgspec

from moorage.dataplane.registry_errors import RegistryError
from moorage.oci.reference import is_repository

Noun = Literal["base", "catalog", "blob", "uploads", "upload", "manifest", "tags", "referrers"]

# The greedy first group makes the last `/blobs/` count: `blobs` may be part of a repository's name.
_PATHS: Final[tuple[tuple[re.Pattern[str], Noun], ...]] = (
    (re.compile(r"/v2/(.+)/blobs/uploads/?()"), "uploads"),
    (re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)"), "upload"),
    (re.compile(r"/v2/(.+)/blobs/([^/]+)"), "blob"),
    (re.compile(r"/v2/(.+)/manifests/([^/]+)"), "manifest"),
    (re.compile(r"/v2/(.+)/referrers/([^/]+)"), "referrers"),
    (re.compile(r"/v2/(.+)/tags/list()"), "tags"),
)
# Of a query; the longest legitimate one names a repository, a digest and a page.
_PARAMETERS_MAX: Final = 64


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The thing that is asked for."""

    noun: Noun
    repository: str = ""
    target: str = ""  # a digest, a tag, an upload's id
    query: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def parameters(self, name: str) -> tuple[str, ...]:
        """All values of a query parameter."""
        return tuple(value for key, value in self.query if key == name)


def parse(raw_path: str, raw_query: str) -> Route:
    """The route of a request, or a refusal: 404 for a path that is none of the specification's."""
    try:
        query = tuple(parse_qsl(raw_query, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX))
    except ValueError as error:
        raise RegistryError("UNSUPPORTED", f"the query has more than {_PARAMETERS_MAX} parameters") from error
    path = unquote(raw_path)
    if path in ("/v2", "/v2/"):
        return Route(noun="base")
    if path == "/v2/_catalog":
        return Route(noun="catalog", query=query)
    for pattern, noun in _PATHS:
        match = pattern.fullmatch(path)
        if match is not None:
            repository, target = match.groups()
            if not is_repository(repository):
                raise RegistryError("NAME_INVALID", f"{repository[:300]!r} is not a repository name")
            return Route(noun=noun, repository=repository, target=target, query=query)
    raise RegistryError("UNSUPPORTED", "the registry has nothing at this path", status=404)
