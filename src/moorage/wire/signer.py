"""Signing requests: for our own clients, which talk to the public API like anyone else."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote, urlsplit

import msgspec

from moorage.wire.sigv4 import (
    ALGORITHM,
    EMPTY_SHA256,
    Draft,
    Scope,
    amz_date,
    canonical_headers,
    canonical_path,
    canonical_query,
    signature,
)

__all__ = ["Signer"]

PRESIGNED_MAX_S = 604_800  # a week: AWS's own limit


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key signs, for which service in which region."""

    access_key_id: str
    secret: str
    region: str
    service: str
    session_token: str | None = None

    def headers(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, now_s: float
    ) -> dict[str, str]:
        """`headers` and those that must be added to them: host, date, token, authorization."""
        parts = urlsplit(url)
        date = amz_date(now_s)
        scope = Scope(date[:8], self.region, self.service)
        sent = {name.lower(): value for name, value in headers.items()}
        sent.setdefault("host", parts.netloc)
        sent["x-amz-date"] = date
        if self.session_token is not None:
            sent["x-amz-security-token"] = self.session_token
        covered = canonical_headers(sent.items())
        draft = Draft(
            method,
            canonical_path(parts.path, s3=self.service == "s3"),
            canonical_query(parts.query),
            covered,
            sent.get("x-amz-content-sha256") or sha256(body).hexdigest(),
        )
        names = ";".join(name for name, _ in covered)
        sent["authorization"] = (
            f"{ALGORITHM} Credential={self.access_key_id}/{scope.text}, SignedHeaders={names}, "
            f"Signature={signature(self.secret, scope, date, draft)}"
        )
        return sent

    def presign(self, method: str, url: str, *, now_s: float, expires_s: int) -> str:
        """A URL that carries its own signature, over the host and an empty body; for websockets as for GETs."""
        assert 1 <= expires_s <= PRESIGNED_MAX_S
        parts = urlsplit(url)
        date = amz_date(now_s)
        scope = Scope(date[:8], self.region, self.service)
        added = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key_id}/{scope.text}",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": "host",
        }
        if self.session_token is not None:
            added["X-Amz-Security-Token"] = self.session_token
        encoded = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in added.items())
        query = f"{parts.query}&{encoded}" if parts.query else encoded
        draft = Draft(
            method,
            canonical_path(parts.path, s3=self.service == "s3"),
            canonical_query(query),
            [("host", parts.netloc)],
            EMPTY_SHA256,
        )
        signed = f"{query}&X-Amz-Signature={signature(self.secret, scope, date, draft)}"
        return parts._replace(query=signed, fragment="").geturl()
