"""A client of OCI registries: pull, push, tags, deletion, catalogue.

Blocking, and safe to use from many threads at once. Source: https://github.com/opencontainers/distribution-spec.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, cast
from urllib.parse import quote

import msgspec

from moorage.oci import manifest as formats
from moorage.oci.auth import Credentials
from moorage.oci.blob_stream import BlobStream
from moorage.oci.digest import Readable, VerifyingReader, check, is_digest, sha256
from moorage.oci.errors import ImageCorrupt, ImageDenied, ImageError, ImageNotFound, RegistryUnavailable
from moorage.oci.manifest import Descriptor, Index, Manifest, Platform
from moorage.oci.reference import DOCKER_HUB
from moorage.oci.source import ImageSource
from moorage.oci.streams import BytesReader, read_all
from moorage.oci.transport import Answer, Transport

_ACCEPT: Final = ", ".join((*formats.MANIFEST_TYPES, *formats.INDEX_TYPES))
# One page of tags or repositories; a registry may give fewer.
_PAGE: Final = 1000
# Pages of a listing: a registry whose Link leads in circles must not hold us for ever.
_PAGES_MAX: Final = 1000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or index as a registry gives it, verified."""

    digest: str
    media_type: str
    raw: bytes


class _Fault(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Faults(msgspec.Struct, frozen=True):
    errors: tuple[_Fault, ...] = ()


class _Listing(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None


def registry_url(registry: str, *, plain_http: bool = False) -> str:
    """Where the registry of a reference answers; Docker Hub's name is not its address."""
    host = "registry-1.docker.io" if registry == DOCKER_HUB else registry
    return f"{'http' if plain_http else 'https'}://{host}"


class RegistryClient:
    """One registry, as one user."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        plain_http: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`plain_http` allows `http:` to near hosts; `pause` waits so many seconds between tries."""
        self._transport = Transport(base_url, credentials, plain_http=plain_http, pause=pause)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def resolve(self, repository: str, target: str) -> str:
        """The digest that a tag has now: one HEAD where the registry tells it there, as nearly all do."""
        answer = self._get("HEAD", repository, f"manifests/{_escaped(target)}")
        digest = answer.headers.get("docker-content-digest", "")
        return digest if is_digest(digest) else self.manifest(repository, target).digest

    def manifest(self, repository: str, target: str) -> Found:
        """The manifest or index under a tag or digest."""
        answer = self._get("GET", repository, f"manifests/{_escaped(target)}")
        digest = target if is_digest(target) else answer.headers.get("docker-content-digest", "")
        if is_digest(digest):
            check(answer.body, digest, f"manifest {repository}")
        else:
            digest = sha256(answer.body)
        return Found(digest=digest, media_type=answer.headers.get("content-type", ""), raw=answer.body)

    def open_blob(self, repository: str, blob: Descriptor) -> Readable:
        """A verified stream of the blob, which goes on after a cut connection."""
        stream = BlobStream(self._transport, self._url(repository, f"blobs/{blob.digest}"), _pull(repository))
        return VerifyingReader(stream, blob.digest, blob.size, f"blob {blob.digest}")

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has it."""
        answer = self._call("HEAD", repository, f"blobs/{digest}", push=True)
        if answer.status == 404:
            return False
        self._expect(answer, (200,), f"blob {digest} in {repository}")
        return True

    def push_blob(self, repository: str, blob: Descriptor, stream: Readable) -> None:
        """Upload a blob in one piece; `stream` is closed."""
        try:
            started = self._call("POST", repository, "blobs/uploads/", push=True)
            self._expect(started, (202,), f"upload to {repository}")
            location = started.headers.get("location")
            if not location:
                raise RegistryUnavailable(f"upload to {repository}: the registry names no location")
            url = f"{location}{'&' if '?' in location else '?'}digest={quote(blob.digest)}"
            answer = self._transport.once(
                "PUT",
                url,
                scope=_push(repository),
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)},
                body=cast(BinaryIO, stream) if blob.size else b"",  # urllib3 asks for nothing but `read`
            )
        finally:
            stream.close()
        self._expect(answer, (201, 204), f"upload of {blob.digest} to {repository}")

    def push_manifest(self, repository: str, target: str, raw: bytes, media_type: str) -> str:
        """Put a manifest under a tag or its digest; the digest."""
        url = self._url(repository, f"manifests/{_escaped(target)}")
        answer = self._transport.call(
            "PUT", url, scope=_push(repository), headers={"Content-Type": media_type}, body=raw
        )
        self._expect(answer, (201,), f"{repository}:{target}")
        return sha256(raw)

    def delete_manifest(self, repository: str, target: str) -> None:
        """Delete a manifest with its tags, by digest; or, where the registry allows it, a tag alone."""
        url = self._url(repository, f"manifests/{_escaped(target)}")
        answer = self._transport.call("DELETE", url, scope=f"repository:{repository}:pull,delete")
        self._expect(answer, (200, 202), f"{repository}:{target}")

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository."""
        first = self._url(repository, f"tags/list?n={_PAGE}")
        what = f"repository {repository}"
        return [tag for page in self._pages(first, _pull(repository), what) for tag in page.tags or ()]

    def catalog(self) -> list[str]:
        """All repositories that the registry shows to us."""
        pages = self._pages(f"/v2/_catalog?n={_PAGE}", "registry:catalog:*", "catalogue")
        return [name for page in pages for name in page.repositories or ()]

    def image(self, repository: str, target: str, wanted: Platform) -> ImageSource:
        """The image for `wanted` under a tag or digest, its blobs still in the registry."""
        found = self.manifest(repository, target)
        parsed = formats.parse(found.raw, found.media_type)
        if isinstance(parsed, Index):
            entry = formats.choose(parsed, wanted)
            found = self.manifest(repository, entry.digest)
            parsed = formats.parse(found.raw, found.media_type)
        if not isinstance(parsed, Manifest):
            raise ImageCorrupt(f"manifest {found.digest}: an index within an index")
        return self._source(repository, found, parsed, wanted)

    def _source(self, repository: str, found: Found, parsed: Manifest, wanted: Platform) -> ImageSource:
        stream = self.open_blob(repository, parsed.config)
        config_bytes = read_all(stream, formats.CONFIG_MAX_BYTES, f"configuration of {repository}")
        config = formats.parse_config(config_bytes, parsed)
        formats.check_platform(config, wanted)

        def open_blob(blob: Descriptor) -> Readable:
            if blob.digest == parsed.config.digest:
                return BytesReader(config_bytes)
            return self.open_blob(repository, blob)

        return ImageSource(
            digest=found.digest,
            manifest=parsed,
            manifest_bytes=found.raw,
            config=config,
            config_bytes=config_bytes,
            open_blob=open_blob,
        )

    def _get(self, method: str, repository: str, rest: str) -> Answer:
        answer = self._call(method, repository, rest)
        self._expect(answer, (200,), f"{repository}: {rest.partition('/')[2]}")
        return answer

    def _call(self, method: str, repository: str, rest: str, *, push: bool = False) -> Answer:
        scope = _push(repository) if push else _pull(repository)
        return self._transport.call(method, self._url(repository, rest), scope=scope, headers={"Accept": _ACCEPT})

    @staticmethod
    def _url(repository: str, rest: str) -> str:
        return f"/v2/{repository}/{rest}"

    def _pages(self, url: str, scope: str, what: str) -> Iterator[_Listing]:
        for _ in range(_PAGES_MAX):
            answer = self._transport.call("GET", url, scope=scope)
            self._expect(answer, (200,), what)
            try:
                yield msgspec.json.decode(answer.body, type=_Listing)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RegistryUnavailable(f"{what}: {error}") from error
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                return
            url = link.group(1)
        raise RegistryUnavailable(f"{what}: more than {_PAGES_MAX} pages")

    @staticmethod
    def _expect(answer: Answer, statuses: tuple[int, ...], what: str) -> None:
        """Turns a registry's refusal into ours, with its own words where it has some."""
        if answer.status in statuses:
            return
        said = _said(answer)
        if answer.status == 404:
            raise ImageNotFound(f"{what}: not found{said}")
        if answer.status in (401, 403):
            raise ImageDenied(f"{what}: access denied{said}")
        if answer.status >= 500:
            raise RegistryUnavailable(f"{what}: status {answer.status}{said}")
        raise ImageError(f"{what}: the registry answered with status {answer.status}{said}")


def _said(answer: Answer) -> str:
    try:
        faults = msgspec.json.decode(answer.body, type=_Faults).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "".join(f" ({each.code}: {each.message})" for each in faults[:1])


def _escaped(target: str) -> str:
    return quote(target, safe=":")


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push(repository: str) -> str:
    return f"repository:{repository}:pull,push"
