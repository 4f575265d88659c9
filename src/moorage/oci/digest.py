"""Content digests (`sha256:…`, `sha512:…`), and readers that refuse bytes which do not have theirs."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Protocol

from moorage.oci.errors import ImageCorrupt

_HEX_DIGITS: Final = {"sha256": 64, "sha512": 128}
_PATTERN = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


class Hash(Protocol):
    """The part of a `hashlib` object that is used here."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Readable(Protocol):
    """A stream of bytes: `read` returns at most `size`, and b"" only at the end."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of an algorithm that we verify."""
    return _PATTERN.fullmatch(text) is not None


def algorithm(digest: str) -> str:
    """`sha256` or `sha512`."""
    return digest.partition(":")[0]


def encoded(digest: str) -> str:
    """The hexadecimal part."""
    return digest.partition(":")[2]


def hasher(algorithm_name: str) -> Hash:
    """A fresh hash; the caller has checked the name with `is_digest`."""
    assert algorithm_name in _HEX_DIGITS, algorithm_name
    return hashlib.sha512() if algorithm_name == "sha512" else hashlib.sha256()


def sha256(data: bytes) -> str:
    """The sha256 digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(data: bytes, algorithm_name: str) -> str:
    """The digest of `data` under the named algorithm."""
    state = hasher(algorithm_name)
    state.update(data)
    return f"{algorithm_name}:{state.hexdigest()}"


def check(data: bytes, digest: str, what: str) -> bytes:
    """`data` itself where it has that digest."""
    if not is_digest(digest):
        raise ImageCorrupt(f"{what}: {digest[:200]!r} is not a sha256 or sha512 digest")
    found = digest_of(data, algorithm(digest))
    if found != digest:
        raise ImageCorrupt(f"{what}: expected digest {digest}, found {found}")
    return data


class VerifyingReader:
    """Passes a stream on and, at its end, refuses it unless size and digest are as promised.

    The end must be read (an empty `read`) for the check to have happened; `drain` does it for a reader that
    stops early, as a tar reader does at the end-of-archive mark.
    """

    def __init__(self, stream: Readable, digest: str, size: int | None, what: str) -> None:
        if not is_digest(digest):
            raise ImageCorrupt(f"{what}: {digest[:200]!r} is not a sha256 or sha512 digest")
        self._stream = stream
        self._digest = digest
        self._size = size
        self._what = what
        self._state = hasher(algorithm(digest))
        self._count = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if not data:
            self._check()
            return data
        self._count += len(data)
        # Stop at the first byte too many: a hostile source must not make us read without end.
        if self._size is not None and self._count > self._size:
            raise ImageCorrupt(f"{self._what}: longer than its {self._size} bytes")
        self._state.update(data)
        return data

    def drain(self) -> None:
        """Read what is left, so that the check is made."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        self._stream.close()

    def _check(self) -> None:
        if self._size is not None and self._count != self._size:
            raise ImageCorrupt(f"{self._what}: expected {self._size} bytes, found {self._count}")
        found = f"{algorithm(self._digest)}:{self._state.hexdigest()}"
        if found != self._digest:
            raise ImageCorrupt(f"{self._what}: expected digest {self._digest}, found {found}")
