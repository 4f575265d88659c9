"""Uploads of blobs: in one request, or begun, continued piece by piece and finished."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moorage.dataplane.blobs import BLOB_MAX_BYTES, PIECE_BYTES, Blobs, Upload, make_directories
from moorage.dataplane.registry_errors import API_VERSION, RegistryError
from moorage.dataplane.registry_route import Route
from moorage.oci.digest import algorithm, is_digest
from moorage.oci.reference import is_repository
from moorage.wire.http import Request, Response

# Uploads under way in one installation. Each is a file and a client; more is a client that never finishes.
UPLOADS_MAX: Final = 1000

_ID = re.compile(r"[0-9a-f]{32}")
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:/\S+)?")


class Uploads:
    """Uploads under way. Their bytes are on the disk; here is what is known of them beyond."""

    def __init__(self, root: Path, blobs: Blobs, new_id: Callable[[], str]) -> None:
        self._repositories = root / "repositories"
        self._blobs = blobs
        self._new_id = new_id
        self._open: dict[tuple[str, str], Upload] = {}
        self._busy: set[tuple[str, str]] = set()

    async def begin(self, route: Route, request: Request) -> Response:
        """POST: mount a blob of another repository, take one in this request, or open an upload."""
        mounted, digest = route.parameter("mount"), route.parameter("digest")
        if mounted is not None and is_digest(mounted):
            source = route.parameter("from")
            if source is not None and not is_repository(source):
                source = None
            elif await asyncio.to_thread(self._blobs.mount, source, route.repository, mounted):
                return _created(route.repository, mounted)
        if digest is not None and not is_digest(digest):
            raise _bad_digest(digest)
        key = await asyncio.to_thread(self._create, route)
        if digest is None:
            return self._progress(key, 202)
        with self._held(key) as upload:
            try:
                await _receive(upload, request)
                return await self._complete(key, upload, digest)
            finally:
                await self._discard(key)

    async def append(self, route: Route, request: Request) -> Response:
        """PATCH: the next piece; with a Content-Range it must continue exactly, without one it just continues."""
        key = self._key(route)
        with self._held(key) as upload:
            await self._receive_piece(upload, request, key)
            return self._progress(key, 202)

    async def finish(self, route: Route, request: Request) -> Response:
        """PUT: perhaps a last piece, then the digest of the whole."""
        digest = route.parameter("digest") or ""
        if not is_digest(digest):
            raise _bad_digest(digest)
        key = self._key(route)
        with self._held(key) as upload:
            await self._receive_piece(upload, request, key)
            try:
                return await self._complete(key, upload, digest)
            finally:
                await self._discard(key)

    async def status(self, route: Route) -> Response:
        """GET: how far it is."""
        key = self._key(route)
        await asyncio.to_thread(self._find, key)
        return self._progress(key, 204)

    async def cancel(self, route: Route) -> Response:
        """DELETE: forget what has arrived."""
        key = self._key(route)
        with self._held(key):
            await self._discard(key)
        return Response(status=204, headers=(API_VERSION,))

    async def sweep(self, older_than_s: float) -> None:
        """Remove uploads that nobody has touched since that hour (epoch seconds), and blobs without a repository."""
        await asyncio.to_thread(self._blobs.sweep, older_than_s)
        for key in [key for key in self._open if key not in self._busy]:
            if not self._path(key).exists():
                del self._open[key]

    def _create(self, route: Route) -> tuple[str, str]:
        if len(self._open) >= UPLOADS_MAX:
            raise RegistryError("TOOMANYREQUESTS", f"{UPLOADS_MAX} uploads are under way already")
        key = (route.repository, self._new_id())
        path = self._path(key)
        make_directories(path.parent)
        path.touch(mode=0o600, exist_ok=False)
        wanted = route.parameter("digest-algorithm") or algorithm(route.parameter("digest") or "sha256:")
        if wanted not in ("sha256", "sha512"):
            raise RegistryError("UNSUPPORTED", f"the digest algorithm {wanted[:40]!r} is not known", status=400)
        self._open[key] = Upload(path, wanted)
        return key

    async def _receive_piece(self, upload: Upload, request: Request, key: tuple[str, str]) -> None:
        expected = _expected_range(upload, request, self._position(key, upload.size_bytes))
        before = upload.size_bytes
        try:
            await _receive(upload, request)
        except RegistryError:
            await self._discard(key)
            raise
        if expected is not None and upload.size_bytes != before + expected:
            got = upload.size_bytes - before
            await asyncio.to_thread(upload.truncate, before)
            raise RegistryError("SIZE_INVALID", f"the Content-Range tells of {expected} bytes, the body had {got}")

    async def _complete(self, key: tuple[str, str], upload: Upload, digest: str) -> Response:
        found = await asyncio.to_thread(upload.digest, algorithm(digest))
        if found != digest:
            raise RegistryError("DIGEST_INVALID", f"the content has the digest {found}, not {digest}")
        await asyncio.to_thread(self._blobs.adopt, upload.path, key[0], digest)
        return _created(key[0], digest)

    @contextmanager
    def _held(self, key: tuple[str, str]) -> Iterator[Upload]:
        """One request at a time on one upload: two would mix their bytes."""
        if key in self._busy:
            raise RegistryError("BLOB_UPLOAD_INVALID", "another request is writing to this upload", status=409)
        upload = self._find(key)
        self._busy.add(key)
        try:
            yield upload
        finally:
            self._busy.discard(key)

    def _find(self, key: tuple[str, str]) -> Upload:
        upload = self._open.get(key)
        if upload is not None and upload.path.exists():
            return upload
        try:
            upload = Upload(self._path(key))
        except FileNotFoundError:
            self._open.pop(key, None)
            raise RegistryError("BLOB_UPLOAD_UNKNOWN", f"no upload {key[1]} is under way in {key[0]}") from None
        self._open[key] = upload
        return upload

    async def _discard(self, key: tuple[str, str]) -> None:
        self._open.pop(key, None)
        # In a thread: freeing the blocks of a large file takes its time.
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    def _key(self, route: Route) -> tuple[str, str]:
        if not _ID.fullmatch(route.target):
            raise RegistryError("BLOB_UPLOAD_UNKNOWN", f"no upload {route.target[:64]!r} is under way")
        return route.repository, route.target

    def _path(self, key: tuple[str, str]) -> Path:
        return self._repositories / key[0] / "_uploads" / key[1]

    def _progress(self, key: tuple[str, str], status: int) -> Response:
        position = self._position(key, self._open[key].size_bytes)
        return Response(status=status, headers=(API_VERSION, *position, ("Docker-Upload-UUID", key[1])))

    @staticmethod
    def _position(key: tuple[str, str], size_bytes: int) -> tuple[tuple[str, str], ...]:
        location = f"/v2/{key[0]}/blobs/uploads/{key[1]}"
        return ("Location", location), ("Range", f"0-{max(size_bytes - 1, 0)}")


async def _receive(upload: Upload, request: Request) -> None:
    """The body into the upload. Where the client leaves midway, what has come is kept: it may continue."""
    held: list[bytes] = []
    count = 0
    try:
        async for piece in request.body.chunks():
            held.append(piece)
            count += len(piece)
            if upload.size_bytes + count > BLOB_MAX_BYTES:
                raise RegistryError("SIZE_INVALID", f"a blob has at most {BLOB_MAX_BYTES} bytes", status=413)
            if count >= PIECE_BYTES:
                data, held, count = b"".join(held), [], 0
                await asyncio.to_thread(upload.append, data)
    except ConnectionError:
        await asyncio.to_thread(upload.append, b"".join(held))
        raise
    if held:
        await asyncio.to_thread(upload.append, b"".join(held))


def _expected_range(upload: Upload, request: Request, position: tuple[tuple[str, str], ...]) -> int | None:
    """How many bytes a Content-Range promises; 416 where it does not begin at the upload's end."""
    text = request.headers.get("content-range")
    if text is None:
        return None
    told = _CONTENT_RANGE.fullmatch(text.strip())
    if told is None:
        raise RegistryError("BLOB_UPLOAD_INVALID", f"the Content-Range {text[:100]!r} is not <start>-<end>")
    start, end = int(told.group(1)), int(told.group(2))
    if start != upload.size_bytes or end < start:
        message = f"the upload has {upload.size_bytes} bytes, the Content-Range is {start}-{end}"
        raise RegistryError("BLOB_UPLOAD_INVALID", message, status=416, headers=position)
    return end - start + 1


def _created(repository: str, digest: str) -> Response:
    location = ("Location", f"/v2/{repository}/blobs/{digest}")
    return Response(status=201, headers=(API_VERSION, location, ("Docker-Content-Digest", digest)))


def _bad_digest(digest: str) -> RegistryError:
    return RegistryError("DIGEST_INVALID", f"{digest[:200]!r} is not a sha256 or sha512 digest")
