"""The registry's manifests, tags and referrers on disk.

repositories/<name>/_manifests/<algorithm>/<hex>        the media type, a line feed, the exact bytes
repositories/<name>/_tags/<tag>                         a digest
repositories/<name>/_referrers/<algorithm>/<hex>/<...>  descriptors of what names this manifest as subject
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from moorage.dataplane.blobs import Blobs, write_whole
from moorage.dataplane.registry_errors import RegistryError
from moorage.oci.digest import algorithm, encoded, is_digest
from moorage.oci.manifest import INDEX_TYPES, OCI_INDEX, OCI_MANIFEST, Descriptor, Index
from moorage.oci.reference import is_tag

# Layers that their publisher does not allow to be stored with others; they are fetched from `urls`.
_ELSEWHERE: Final = (
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest, byte for byte as it was pushed."""

    digest: str
    media_type: str
    raw: bytes


class Draft(msgspec.Struct, frozen=True, rename="camel"):
    """What the registry looks at in a manifest; whatever else is in there is not its business."""

    media_type: str = ""
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Manifests:
    """All manifests and tags of a registry. Blocking; every method may be called from any thread."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self._repositories = root / "repositories"
        self._blobs = blobs
        self._lock = threading.Lock()  # between checking what a manifest refers to and writing it

    def get(self, repository: str, target: str) -> Stored:
        """The manifest under a tag or digest."""
        digest = target if ":" in target else self._tagged(repository, target)
        try:
            media_type, _, raw = self._path(repository, digest).read_bytes().partition(b"\n")
        except FileNotFoundError:
            raise _unknown(repository, target) from None
        return Stored(digest=digest, media_type=media_type.decode(), raw=raw)

    def put(self, repository: str, stored: Stored, tags: tuple[str, ...]) -> Draft:
        """Keep a manifest, and let these tags mean it; what the registry has read in it."""
        draft = parse_draft(stored.raw)
        if draft.media_type and draft.media_type != stored.media_type:
            raise RegistryError(
                "MANIFEST_INVALID",
                f"the manifest says that it is {draft.media_type}, the Content-Type says {stored.media_type}",
            )
        with self._lock:
            self._check_parts(repository, draft)
            write_whole(self._path(repository, stored.digest), stored.media_type.encode() + b"\n" + stored.raw)
            if draft.subject is not None:
                path = self._referrer_path(repository, draft.subject.digest, stored.digest)
                write_whole(path, msgspec.json.encode(_described(stored, draft)))
            for tag in tags:
                write_whole(self._tags_directory(repository) / tag, stored.digest.encode())
        return draft

    def delete(self, repository: str, target: str) -> None:
        """A tag alone; or, by digest, the manifest with all its tags."""
        with self._lock:
            if ":" not in target:
                self._tagged(repository, target)
                (self._tags_directory(repository) / target).unlink(missing_ok=True)
                return
            stored = self.get(repository, target)
            for tag in self._tag_names(repository):
                if self._tagged(repository, tag) == target:
                    (self._tags_directory(repository) / tag).unlink(missing_ok=True)
            subject = parse_draft(stored.raw).subject
            if subject is not None:
                self._referrer_path(repository, subject.digest, target).unlink(missing_ok=True)
            self._path(repository, target).unlink(missing_ok=True)

    def tags(self, repository: str) -> list[str]:
        """All tags in ASCII order."""
        if not self._exists(repository):
            raise RegistryError("NAME_UNKNOWN", f"repository {repository} is not known")
        return self._tag_names(repository)

    def repositories(self) -> list[str]:
        """All repositories with a manifest, in ASCII order."""
        found = []
        for here, directories, _ in os.walk(self._repositories):
            if "_manifests" in directories and any((Path(here) / "_manifests").glob("*/[0-9a-f]*")):
                found.append(str(Path(here).relative_to(self._repositories)))
            directories[:] = [each for each in directories if not each.startswith("_")]
        return sorted(found)

    def referrers(self, repository: str, subject: str) -> list[Descriptor]:
        """What names `subject` as its subject, with what clients of old kept under the tag made of its digest."""
        found: dict[str, Descriptor] = {}
        for path in sorted(self._referrer_path(repository, subject, "sha256:").parent.glob("sha*-*")):
            each = msgspec.json.decode(path.read_bytes(), type=Descriptor)
            found[each.digest] = each
        for each in self._fallback_tag(repository, subject):
            found.setdefault(each.digest, each)
        return list(found.values())

    def sweep(self, blobs_older_than_s: float) -> None:
        """Take blobs away that no manifest of their repository refers to, unless they came after that hour.

        The hour is for pushes under way: their blobs come before the manifest does.
        """
        for repository in self._blobs.repositories():
            with self._lock:
                needed = self._needed(repository)
                for digest in self._blobs.older_than(repository, blobs_older_than_s):
                    if digest not in needed:
                        self._blobs.delete(repository, digest)

    def _needed(self, repository: str) -> set[str]:
        found: set[str] = set()
        for path in (self._repositories / repository / "_manifests").glob("*/[0-9a-f]*"):
            draft = parse_draft(path.read_bytes().partition(b"\n")[2])
            found.update(each.digest for each in (draft.layers or ()))
            if draft.config is not None:
                found.add(draft.config.digest)
        return found

    def _fallback_tag(self, repository: str, subject: str) -> tuple[Descriptor, ...]:
        try:
            stored = self.get(repository, subject.replace(":", "-"))
        except RegistryError:
            return ()
        return parse_draft(stored.raw).manifests or ()

    def _check_parts(self, repository: str, draft: Draft) -> None:
        """Everything a manifest refers to must be here, but for its subject, which may come later."""
        blobs = (*((draft.config,) if draft.config else ()), *(draft.layers or ()))
        for blob in blobs:
            if blob.media_type.startswith(_ELSEWHERE) or blob.urls:
                continue
            if self._blobs.size_bytes(repository, _checked(blob.digest)) is None:
                raise RegistryError("MANIFEST_BLOB_UNKNOWN", f"blob {blob.digest} is not in {repository}")
        for each in draft.manifests or ():
            if not self._path(repository, _checked(each.digest)).exists():
                raise RegistryError("MANIFEST_BLOB_UNKNOWN", f"manifest {each.digest} is not in {repository}")
        if draft.subject is not None:
            _checked(draft.subject.digest)

    def _exists(self, repository: str) -> bool:
        home = self._repositories / repository
        return (home / "_manifests").is_dir() or (home / "_blobs").is_dir()

    def _tag_names(self, repository: str) -> list[str]:
        try:
            names = os.listdir(self._tags_directory(repository))
        except FileNotFoundError:
            return []
        return sorted(filter(is_tag, names))

    def _tagged(self, repository: str, tag: str) -> str:
        try:
            return (self._tags_directory(repository) / tag).read_text()
        except FileNotFoundError:
            raise _unknown(repository, tag) from None

    def _tags_directory(self, repository: str) -> Path:
        return self._repositories / repository / "_tags"

    def _path(self, repository: str, digest: str) -> Path:
        return self._repositories / repository / "_manifests" / algorithm(digest) / encoded(digest)

    def _referrer_path(self, repository: str, subject: str, digest: str) -> Path:
        home = self._repositories / repository / "_referrers" / algorithm(subject) / encoded(subject)
        return home / f"{algorithm(digest)}-{encoded(digest)}"


def parse_draft(raw: bytes) -> Draft:
    """What the registry needs to know of a manifest."""
    try:
        draft = msgspec.json.decode(raw, type=Draft)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError("MANIFEST_INVALID", f"the manifest cannot be read: {error}") from error
    if draft.manifests is not None and draft.layers is not None:
        raise RegistryError("MANIFEST_INVALID", "the manifest is both an index and an image")
    return draft


def media_type_of(content_type: str, raw: bytes) -> str:
    """The type a manifest is kept under: what the request says, else what it says itself, else what it is."""
    bare = content_type.partition(";")[0].strip()
    if bare:
        return bare
    draft = parse_draft(raw)
    return draft.media_type or (OCI_INDEX if draft.manifests is not None else OCI_MANIFEST)


def referrers_index(found: list[Descriptor]) -> bytes:
    """The answer to a question for referrers."""
    return msgspec.json.encode(Index(schema_version=2, media_type=OCI_INDEX, manifests=tuple(found)))


def _described(stored: Stored, draft: Draft) -> Descriptor:
    is_index = stored.media_type in INDEX_TYPES
    fallback = draft.config.media_type if draft.config is not None and not is_index else None
    return Descriptor(
        media_type=stored.media_type,
        digest=stored.digest,
        size=len(stored.raw),
        artifact_type=draft.artifact_type or fallback,
        annotations=draft.annotations,
    )


def _checked(digest: str) -> str:
    if not is_digest(digest):
        raise RegistryError("MANIFEST_INVALID", f"{digest[:200]!r} is not a sha256 or sha512 digest")
    return digest


def _unknown(repository: str, target: str) -> RegistryError:
    return RegistryError("MANIFEST_UNKNOWN", f"manifest {target} is not known in {repository}")
