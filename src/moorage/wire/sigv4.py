"""AWS Signature Version 4: what is signed, and the key it is signed with. Pure: the hour is an argument.

Signing is in `signer.py`, verification in `verify.py`; both build on the canonical request made here.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
EMPTY_SHA256: Final = sha256(b"").hexdigest()
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
TERMINATOR: Final = "aws4_request"

# Derived keys live for a day and cost four HMACs; 1,024 is a day's busy callers times services and regions.
_DERIVED_KEYS_MAX: Final = 1024


class Scope(NamedTuple):
    """What a signature is good for: one day, one region, one service."""

    date: str  # YYYYMMDD
    region: str
    service: str

    @property
    def text(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


class Draft(NamedTuple):
    """The parts of a request that a signature covers."""

    method: str
    path: str  # canonical: see canonical_path
    query: str  # canonical: see canonical_query
    headers: Sequence[tuple[str, str]]  # lower-case names, sorted, only the signed ones
    payload_sha256: str


def amz_date(now_s: float) -> str:
    """Basic ISO 8601, such as `20260131T120000Z`."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_path(path: str, *, s3: bool = False) -> str:
    """The path as it is signed: S3 as sent, all others with dots resolved and encoded once more."""
    if s3 or path == "/":
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    if not kept:
        return "/"
    end = "/" if path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def canonical_query(query: str) -> str:
    """Sorted by encoded name, then value; each encoded anew, a raw `+` being a space; without the signature."""
    return _sorted_query((_encoded(name), _encoded(value)) for name, value in _pairs(query))


def query_as_sent(query: str) -> str:
    """Only sorted. Some signers, botocore's among them, take a query that they are given for encoded already."""
    return _sorted_query(_pairs(query))


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if part:
            yield name, value


def _sorted_query(pairs: Iterable[tuple[str, str]]) -> str:
    kept = sorted(pair for pair in pairs if pair[0] != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in kept)


def _encoded(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote(unquote_to_bytes(text.replace("+", "%20")), safe="-_.~")


def canonical_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lower-case names in order; values trimmed, runs of spaces inside them made one."""
    return sorted((name.lower(), " ".join(value.split())) for name, value in headers)


def signature(secret: str, scope: Scope, date: str, draft: Draft) -> str:
    """The hexadecimal signature of a request at `date` (as `amz_date` writes it)."""
    headers = "".join(f"{name}:{value}\n" for name, value in draft.headers)
    signed = ";".join(name for name, _ in draft.headers)
    canonical = f"{draft.method}\n{draft.path}\n{draft.query}\n{headers}\n{signed}\n{draft.payload_sha256}"
    # Header bytes that are not UTF-8 travel as surrogates, and are signed as the bytes they are.
    digest = sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    to_sign = f"{ALGORITHM}\n{date}\n{scope.text}\n{digest}"
    return hmac.digest(_derived_key(secret, scope), to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=_DERIVED_KEYS_MAX)
def _derived_key(secret: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
