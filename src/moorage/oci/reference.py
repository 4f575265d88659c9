"""Image references, read as Docker reads them: `[registry/]repository[:tag][@digest]`.

Source: https://pkg.go.dev/github.com/distribution/reference (the grammar in its package comment).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import msgspec

from moorage.oci.digest import is_digest
from moorage.oci.errors import ImageReferenceError

DOCKER_HUB: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
# The grammar's own bound on registry and repository together; file names of a registry's disk rely on it.
NAME_MAX_CHARS: Final = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|on\.aws)(?::[0-9]+)?")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """An image's full name. Where both are given, the digest decides and the tag is only a remark."""

    registry: str  # host, or host:port
    repository: str
    tag: str | None  # None only where there is a digest
    digest: str | None = None

    def __str__(self) -> str:
        """The canonical form, with nothing left to defaults."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def familiar(self) -> str:
        """The form that people write: Docker Hub's defaults left out."""
        name = familiar_repository(self)
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{name}{tag}{digest}"

    @property
    def target(self) -> str:
        """What to ask a registry for: the digest, or else the tag."""
        return self.digest or self.tag or DEFAULT_TAG


def is_repository(text: str) -> bool:
    """Whether `text` is a repository name as the OCI distribution specification has it."""
    return len(text) <= NAME_MAX_CHARS and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` is a tag."""
    return _TAG.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """The reference that `text` names; raises `ImageReferenceError` with the reason."""
    rest, digest = _split_digest(text)
    rest, tag = _split_tag(rest, text)
    registry, repository = _split_registry(rest)
    if not _REGISTRY.fullmatch(registry):
        raise ImageReferenceError(f"invalid reference format: {registry!r} is not a registry host")
    if not repository:
        raise ImageReferenceError(f"invalid reference format: {text[:300]!r} names no repository")
    if repository != repository.lower():
        raise ImageReferenceError(f"invalid reference format: repository name ({repository}) must be lowercase")
    if len(registry) + 1 + len(repository) > NAME_MAX_CHARS:
        raise ImageReferenceError(f"repository name must not be more than {NAME_MAX_CHARS} characters")
    if not _REPOSITORY.fullmatch(repository):
        raise ImageReferenceError(f"invalid reference format: {text[:300]!r} is not an image reference")
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return Reference(registry=registry, repository=repository, tag=tag, digest=digest)


def familiar_repository(reference: Reference) -> str:
    """The repository as people write it, its registry in front unless that is Docker Hub."""
    if reference.registry != DOCKER_HUB:
        return f"{reference.registry}/{reference.repository}"
    bare = reference.repository.removeprefix("library/")
    return bare if "/" not in bare else reference.repository


def installation_repository(reference: Reference, own_hosts: Collection[str] = ()) -> str:
    """Under which name the installation's own registry keeps this image.

    `busybox` is kept as `busybox`; a name that points at this installation, or at an ECR host (which it stands
    for), as its repository; any other as `host/repository`, with a port's colon, which no repository name may
    have, as an underscore. Who pushes and who pulls both ask here.
    """
    if reference.registry == DOCKER_HUB:
        return familiar_repository(reference)
    if reference.registry in own_hosts or _ECR.fullmatch(reference.registry):
        return reference.repository
    host = re.sub(r"[^a-z0-9.-]+", "_", reference.registry.lower()).strip("_")
    return f"{host}/{reference.repository}"


def _split_digest(text: str) -> tuple[str, str | None]:
    if not text:
        raise ImageReferenceError("invalid reference format: the image reference is empty")
    name, at, digest = text.partition("@")
    if not at:
        return text, None
    if not is_digest(digest):
        raise ImageReferenceError(f"invalid reference format: {digest[:200]!r} is not a sha256 or sha512 digest")
    return name, digest


def _split_tag(rest: str, text: str) -> tuple[str, str | None]:
    """A colon in the last component is a tag's; one further left is a port's."""
    head, slash, last = rest.rpartition("/")
    name, colon, tag = last.partition(":")
    if not colon:
        return rest, None
    if not _TAG.fullmatch(tag):
        raise ImageReferenceError(f"invalid reference format: {text[:300]!r} has no valid tag")
    return f"{head}{slash}{name}", tag


def _split_registry(name: str) -> tuple[str, str]:
    """The first component is a host where it looks like one: a dot, a port, capitals, or `localhost`."""
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, repository = (first, rest) if is_host else (DOCKER_HUB, name)
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and repository and "/" not in repository:
        if _IMAGE_ID.fullmatch(repository):
            raise ImageReferenceError(
                f"invalid repository name ({repository}), cannot specify 64-byte hexadecimal strings"
            )
        repository = f"library/{repository}"
    return registry, repository
