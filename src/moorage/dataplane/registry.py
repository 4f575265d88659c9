"""The installation's image registry: OCI distribution, pull and push, at `/v2/`.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md. Disk work is done in threads;
the loop only moves bytes. Whoever has an access key may push, and pushing creates the repository.
"""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from moorage.dataplane.blobs import PIECE_BYTES, Blobs
from moorage.dataplane.registry_auth import Authenticate, admit
from moorage.dataplane.registry_errors import API_VERSION, RegistryError
from moorage.dataplane.registry_manifests import Manifests, Stored, media_type_of, referrers_index
from moorage.dataplane.registry_range import parse_range
from moorage.dataplane.registry_route import Route, parse
from moorage.dataplane.registry_uploads import Uploads
from moorage.oci.digest import algorithm, digest_of, is_digest
from moorage.oci.manifest import MANIFEST_MAX_BYTES, OCI_INDEX
from moorage.oci.reference import is_tag
from moorage.wire.http import BodyTooLarge, Request, Response

__all__ = ["Registry"]

# A page of tags or repositories where the client names no number, and the most it may name (ECR's).
PAGE_MAX: Final = 1000
# Tags that one manifest may be given in one request.
_TAGS_AT_ONCE_MAX: Final = 20
_JSON: Final = ("Content-Type", "application/json")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Registry:
    """Answers everything under `/v2/`. Its files are under `root`, which nobody else writes to."""

    def __init__(
        self, root: Path, authenticate: Authenticate, *, new_upload_id: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self._authenticate = authenticate
        self._blobs = Blobs(root)
        self._manifests = Manifests(root, self._blobs)
        self._uploads = Uploads(root, self._blobs, new_upload_id)
        self._methods: dict[tuple[str, str], Callable[[Route, Request], Awaitable[Response]]] = {
            ("base", "GET"): self._base,
            ("catalog", "GET"): self._catalog,
            ("tags", "GET"): self._tags,
            ("referrers", "GET"): self._referrers,
            ("blob", "GET"): self._get_blob,
            ("blob", "DELETE"): self._delete_blob,
            ("uploads", "POST"): self._uploads.begin,
            ("upload", "PATCH"): self._uploads.append,
            ("upload", "PUT"): self._uploads.finish,
            ("upload", "GET"): lambda route, _: self._uploads.status(route),
            ("upload", "DELETE"): lambda route, _: self._uploads.cancel(route),
            ("manifest", "GET"): self._get_manifest,
            ("manifest", "PUT"): self._put_manifest,
            ("manifest", "DELETE"): self._delete_manifest,
        }

    async def handle(self, request: Request) -> Response:
        """The answer to a request whose path is `/v2` or below."""
        head = request.method == "HEAD"
        try:
            admit(request, self._authenticate)
            route = parse(request.path, request.query)
            method = self._methods.get((route.noun, "GET" if head else request.method))
            if method is None:
                raise RegistryError("UNSUPPORTED", f"{request.method[:20]} is not for {route.noun}")
            return await method(route, request)
        except RegistryError as error:
            return error.response(head=head)
        except BodyTooLarge as error:
            return RegistryError("SIZE_INVALID", str(error), status=413).response()
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return RegistryError("STORAGE_FULL", "the registry's disk has no space left").response(head=head)

    async def sweep(self, older_than_s: float) -> None:
        """Remove what is older than that hour (epoch seconds) and of no use: forgotten uploads, unneeded blobs."""
        await asyncio.to_thread(self._manifests.sweep, older_than_s)
        await self._uploads.sweep(older_than_s)

    async def _base(self, _route: Route, _request: Request) -> Response:
        return Response(headers=(API_VERSION, _JSON), body=b"{}")

    async def _get_blob(self, route: Route, request: Request) -> Response:
        digest = _digest(route.target)
        path = self._blobs.path(route.repository, digest)
        size = await asyncio.to_thread(self._blobs.size_bytes, route.repository, digest)
        if size is None:
            raise _blob_unknown(route)
        headers = [
            API_VERSION,
            ("Docker-Content-Digest", digest),
            ("Content-Type", "application/octet-stream"),
            ("Accept-Ranges", "bytes"),
            ("ETag", f'"{digest}"'),
            ("Cache-Control", "max-age=31536000, immutable"),
        ]
        start, end, status = 0, size, 200
        wanted = parse_range(request.headers.get("range"), size)
        if wanted is not None:
            start, end = wanted
            status = 206
            headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
        if request.method == "HEAD":
            return Response(status=status, headers=headers, length=end - start)
        try:
            fd = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _blob_unknown(route) from None
        return Response(status=status, headers=headers, body=_pieces(fd, start, end), length=end - start)

    async def _delete_blob(self, route: Route, _request: Request) -> Response:
        if not await asyncio.to_thread(self._blobs.delete, route.repository, _digest(route.target)):
            raise _blob_unknown(route)
        return Response(status=202, headers=(API_VERSION,))

    async def _get_manifest(self, route: Route, request: Request) -> Response:
        stored = await asyncio.to_thread(self._manifests.get, route.repository, _target(route.target))
        headers = (
            API_VERSION,
            ("Docker-Content-Digest", stored.digest),
            ("Content-Type", stored.media_type),
            ("ETag", f'"{stored.digest}"'),
        )
        if request.method == "HEAD":
            return Response(headers=headers, length=len(stored.raw))
        return Response(headers=headers, body=stored.raw)

    async def _put_manifest(self, route: Route, request: Request) -> Response:
        target = _target(route.target)
        raw = await request.body.read(MANIFEST_MAX_BYTES)
        by_digest = is_digest(target)
        digest = digest_of(raw, algorithm(target) if by_digest else "sha256")
        if by_digest and digest != target:
            raise RegistryError("DIGEST_INVALID", f"the content has the digest {digest}, not {target}")
        tags = _tags_to_set(route) if by_digest else (target,)
        media_type = media_type_of(request.headers.get("content-type", ""), raw)
        stored = Stored(digest=digest, media_type=media_type, raw=raw)
        draft = await asyncio.to_thread(self._manifests.put, route.repository, stored, tags)
        headers = [
            API_VERSION,
            ("Location", f"/v2/{route.repository}/manifests/{digest}"),
            ("Docker-Content-Digest", digest),
        ]
        if draft.subject is not None:
            headers.append(("OCI-Subject", draft.subject.digest))
        if by_digest:
            headers.extend(("OCI-Tag", tag) for tag in tags)
        return Response(status=201, headers=headers)

    async def _delete_manifest(self, route: Route, _request: Request) -> Response:
        await asyncio.to_thread(self._manifests.delete, route.repository, _target(route.target))
        return Response(status=202, headers=(API_VERSION,))

    async def _tags(self, route: Route, _request: Request) -> Response:
        tags = await asyncio.to_thread(self._manifests.tags, route.repository)
        page, headers = _page(tags, route, f"/v2/{route.repository}/tags/list")
        return Response(headers=headers, body=msgspec.json.encode({"name": route.repository, "tags": page}))

    async def _catalog(self, route: Route, _request: Request) -> Response:
        names = await asyncio.to_thread(self._manifests.repositories)
        page, headers = _page(names, route, "/v2/_catalog")
        return Response(headers=headers, body=msgspec.json.encode({"repositories": page}))

    async def _referrers(self, route: Route, _request: Request) -> Response:
        subject = _digest(route.target)
        found = await asyncio.to_thread(self._manifests.referrers, route.repository, subject)
        headers = [API_VERSION, ("Content-Type", OCI_INDEX)]
        wanted = route.parameter("artifactType")
        if wanted is not None:
            found = [each for each in found if each.artifact_type == wanted]
            headers.append(("OCI-Filters-Applied", "artifactType"))
        return Response(headers=headers, body=referrers_index(found))


async def _pieces(fd: int, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        while start < end:
            piece = await asyncio.to_thread(os.pread, fd, min(PIECE_BYTES, end - start), start)
            if not piece:
                return  # cut short from outside; the client sees that bytes are missing
            start += len(piece)
            yield piece
    finally:
        os.close(fd)


def _page(names: Sequence[str], route: Route, path: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The names after `last`, `n` of them, and a link to the next page where there is one."""
    text = route.parameter("n")
    count = PAGE_MAX if text is None else int(text) if text.isdecimal() and len(text) < 10 else -1
    if count < 0:
        raise RegistryError("UNSUPPORTED", f"n is {(text or '')[:40]!r}, not a number", status=400)
    if route.noun == "catalog" and count > PAGE_MAX:
        raise RegistryError("UNSUPPORTED", f"a page has at most {PAGE_MAX} repositories", status=400)
    last = route.parameter("last")
    rest = [each for each in names if last is None or each > last]
    page = rest[:count]
    headers = [API_VERSION, _JSON]
    if page and len(rest) > count:
        headers.append(("Link", f'<{path}?n={count}&last={quote(page[-1], safe="")}>; rel="next"'))
    return page, headers


def _tags_to_set(route: Route) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(route.parameters("tag")))
    if len(tags) > _TAGS_AT_ONCE_MAX:
        raise RegistryError("SIZE_INVALID", f"at most {_TAGS_AT_ONCE_MAX} tags are set at once", status=414)
    for tag in tags:
        if not is_tag(tag):
            raise RegistryError("MANIFEST_INVALID", f"{tag[:200]!r} is not a tag")
    return tags


def _target(text: str) -> str:
    if is_tag(text) or is_digest(text):
        return text
    if ":" in text:
        raise RegistryError("DIGEST_INVALID", f"{text[:200]!r} is not a sha256 or sha512 digest")
    raise RegistryError("MANIFEST_INVALID", f"{text[:200]!r} is not a tag")


def _digest(text: str) -> str:
    if not is_digest(text):
        raise RegistryError("DIGEST_INVALID", f"{text[:200]!r} is not a sha256 or sha512 digest")
    return text


def _blob_unknown(route: Route) -> RegistryError:
    return RegistryError("BLOB_UNKNOWN", f"blob {route.target} is not known in {route.repository}")
