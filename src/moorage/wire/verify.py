"""Whose request is this? Verification of Signature Version 4, in a header or in a presigned URL.

    SignatureError
    ├── NotSigned          no signature at all
    ├── Malformed          a signature that cannot be read
    ├── UnknownKey         no such key, or its session token is not this one
    ├── SessionExpired     temporary credentials past their end
    └── SignatureMismatch  read and wrong: another secret, another request, another hour, another scope

`refusal` gives the code and status that each protocol family has for these.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

import msgspec

from moorage.base.errors import MoorageError, Refused
from moorage.base.limits import CLOCK_SKEW_MAX_S
from moorage.wire.protocol import Family
from moorage.wire.sigv4 import (
    ALGORITHM,
    TERMINATOR,
    UNSIGNED_PAYLOAD,
    Draft,
    Scope,
    amz_date,
    canonical_path,
    canonical_query,
    query_as_sent,
    signature,
)

__all__ = [
    "Malformed",
    "NotSigned",
    "SessionExpired",
    "SignatureError",
    "SignatureMismatch",
    "Signed",
    "SigningKey",
    "UnknownKey",
    "refusal",
    "verify",
]

_PRESIGNED_MAX_S: Final = 604_800  # a week: AWS's own limit
_BASIC_DATE_CHARACTERS: Final = len("20260131T120000Z")  # no other form that we read is as short
_NO_MATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
    "Key and signing method. Consult the service documentation for details."
)


class SignatureError(MoorageError):
    """The caller is not known; `situation` is its line in the table of codes below."""

    situation = "mismatch"


class NotSigned(SignatureError):
    situation = "not signed"


class Malformed(SignatureError):
    situation = "malformed"


class UnknownKey(SignatureError):
    situation = "unknown key"


class SessionExpired(SignatureError):
    situation = "session expired"


class SignatureMismatch(SignatureError):
    situation = "mismatch"


# (code, status) for each family. ec2 tells no situation from another, except an expired session.
_CODES: Final[Mapping[str, Mapping[Family, tuple[str, int]]]] = {
    "not signed": {
        "query": ("MissingAuthenticationToken", 403),
        "json": ("MissingAuthenticationTokenException", 400),
        "ec2": ("AuthFailure", 401),
    },
    "malformed": {
        "query": ("IncompleteSignature", 400),
        "json": ("IncompleteSignatureException", 400),
        "ec2": ("AuthFailure", 401),
    },
    "unknown key": {
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "ec2": ("AuthFailure", 401),
    },
    "session expired": {
        "query": ("ExpiredToken", 403),
        "json": ("ExpiredTokenException", 400),
        "ec2": ("RequestExpired", 400),
    },
    "mismatch": {
        "query": ("SignatureDoesNotMatch", 403),
        "json": ("InvalidSignatureException", 400),
        "ec2": ("AuthFailure", 401),
    },
}


def refusal(error: SignatureError, family: Family) -> Refused:
    """The refusal that a protocol family has for this situation."""
    code, status = _CODES[error.situation][family]
    return Refused(str(error), code=code, status=status)


class Exchange(Protocol):
    """What is needed of a request: `wire.http.Request` has it."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def query(self) -> str: ...

    @property
    def headers(self) -> dict[str, str]: ...


class SigningKey(msgspec.Struct, frozen=True):
    """The secret behind an access key id; a temporary one has a session token and an end."""

    secret: str
    session_token: str | None = None
    expires_s: float | None = None


class Signed(msgspec.Struct, frozen=True):
    """A verified caller, and what the signature was made for."""

    access_key_id: str
    region: str
    service: str
    presigned: bool
    payload_sha256: str  # a streamed body must hash to this; UNSIGNED_PAYLOAD where the caller promised nothing


class _Claim(NamedTuple):
    """A signature as the request states it, unverified."""

    access_key_id: str
    scope: Scope
    date: str
    date_s: float
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str | None
    expires_s: float | None  # presigned only


def verify(
    exchange: Exchange,
    body_sha256: str | None,
    now_s: float,
    secret_for: Callable[[str], SigningKey | None],
    service: str,
    *,
    unsigned_payload: bool = False,
) -> Signed:
    """The caller, or a `SignatureError`. `body_sha256` is None where the body is still to be streamed.

    `service` is the name that the credential scope must carry; `unsigned_payload` is for S3 alone.
    """
    claim = _read_claim(exchange)
    key = _key_of(claim, secret_for, now_s)
    _check_scope(claim, service)
    _check_time(claim, now_s)
    _check_signed_headers(claim, exchange)
    payload = _payload(exchange, body_sha256, unsigned_payload)
    if not any(
        hmac.compare_digest(signature(key.secret, claim.scope, claim.date, draft).encode(), claim.signature.encode())
        for draft in _drafts(exchange, claim, payload)
    ):
        raise SignatureMismatch(_NO_MATCH)
    presigned = claim.expires_s is not None
    return Signed(claim.access_key_id, claim.scope.region, claim.scope.service, presigned, payload)


def _read_claim(exchange: Exchange) -> _Claim:
    authorization = exchange.headers.get("authorization")
    if authorization is not None:
        return _claim_in_header(exchange.headers, authorization)
    if "X-Amz-Signature=" in exchange.query or "X-Amz-Algorithm=" in exchange.query:
        return _claim_in_query(exchange.query)
    raise NotSigned("Missing Authentication Token")


def _claim_in_header(headers: Mapping[str, str], authorization: str) -> _Claim:
    algorithm, _, rest = authorization.strip().partition(" ")
    _check_algorithm(algorithm)
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    date = headers.get("x-amz-date") or headers.get("date")
    sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
    if not date:
        sentences.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if sentences or not date:
        raise Malformed(" ".join(sentences))
    return _claim(fields, date, headers.get("x-amz-security-token"), None)


def _claim_in_query(query: str) -> _Claim:
    fields = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        prefix, own, name = unquote(name).partition("X-Amz-")
        if own and not prefix:
            if name in fields:
                raise Malformed(f"The query string has 'X-Amz-{name[:64]}' more than once.")
            fields[name] = unquote(value)
    _check_algorithm(fields.get("Algorithm", ""))
    needed = ("Credential", "Signature", "SignedHeaders", "Date", "Expires")
    missing = [f"AWS query-string parameters must include 'X-Amz-{name}'." for name in needed if not fields.get(name)]
    if missing:
        raise Malformed(" ".join(missing))
    expires = fields["Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and 1 <= int(expires) <= _PRESIGNED_MAX_S):
        raise Malformed(f"X-Amz-Expires must be a number of seconds from 1 to {_PRESIGNED_MAX_S}.")
    return _claim(fields, fields["Date"], fields.get("Security-Token"), float(expires))


def _check_algorithm(algorithm: str) -> None:
    if algorithm == ALGORITHM:
        return
    if algorithm == "AWS4-ECDSA-P256-SHA256":
        raise Malformed(f"Signature Version 4A is not supported; sign with {ALGORITHM}.")
    raise Malformed(f"Unsupported AWS 'algorithm': '{algorithm[:64]}'; sign with {ALGORITHM}.")


def _claim(fields: Mapping[str, str], date: str, token: str | None, expires_s: float | None) -> _Claim:
    credential = fields["Credential"].split("/")
    if len(credential) != 5:
        raise Malformed(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{fields['Credential'][:256]}'"
        )
    access_key_id, day, region, service, terminator = credential
    if terminator != TERMINATOR:
        raise SignatureMismatch(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'")
    date_s = _moment(date)
    basic = date if len(date) == _BASIC_DATE_CHARACTERS else amz_date(date_s)
    names = tuple(fields["SignedHeaders"].lower().split(";"))
    scope = Scope(day, region, service)
    return _Claim(access_key_id, scope, basic, date_s, names, fields["Signature"], token, expires_s)


# Busy clients sign many requests in one second, and reading a date is a fifth of the work of verifying.
@lru_cache(maxsize=256)
def _moment(text: str) -> float:
    """Seconds since the epoch from basic ISO 8601 or, as in a `Date` header, from RFC 9110's form."""
    try:
        if len(text) == _BASIC_DATE_CHARACTERS:
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        return parsedate_to_datetime(text[:64]).timestamp()
    except (ValueError, OverflowError):
        raise Malformed(f"Date must be in ISO-8601 'basic format'. Got '{text[:64]}'.") from None


def _key_of(claim: _Claim, secret_for: Callable[[str], SigningKey | None], now_s: float) -> SigningKey:
    key = secret_for(claim.access_key_id)
    token = claim.session_token or ""
    # A long-term key with a token is as wrong as a temporary one without.
    if key is None or not hmac.compare_digest(token.encode(), (key.session_token or "").encode()):
        raise UnknownKey("The security token included in the request is invalid.")
    if key.expires_s is not None and now_s >= key.expires_s:
        raise SessionExpired("The security token included in the request is expired")
    return key


def _check_scope(claim: _Claim, service: str) -> None:
    if claim.scope.service != service:
        raise SignatureMismatch(f"Credential should be scoped to correct service: '{service}'.")
    if not claim.scope.region:
        raise SignatureMismatch("Credential should be scoped to a valid region.")
    if claim.scope.date != claim.date[:8]:
        raise SignatureMismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.scope.date[:16]}' != '{claim.date[:8]}', from '{claim.date}'."
        )


def _check_time(claim: _Claim, now_s: float) -> None:
    if claim.date_s > now_s + CLOCK_SKEW_MAX_S:
        latest = f"{amz_date(now_s + CLOCK_SKEW_MAX_S)} ({amz_date(now_s)} + 15 min.)"
        raise SignatureMismatch(f"Signature not yet current: {claim.date} is still later than {latest}")
    if claim.expires_s is None:
        if claim.date_s < now_s - CLOCK_SKEW_MAX_S:
            earliest = f"{amz_date(now_s - CLOCK_SKEW_MAX_S)} ({amz_date(now_s)} - 15 min.)"
            raise SignatureMismatch(f"Signature expired: {claim.date} is now earlier than {earliest}")
    elif now_s > claim.date_s + claim.expires_s:
        end = amz_date(claim.date_s + claim.expires_s)
        raise SignatureMismatch(f"Signature expired: {end} is now earlier than {amz_date(now_s)}")


def _check_signed_headers(claim: _Claim, exchange: Exchange) -> None:
    # The operation's name travels in x-amz-target: unsigned, one signature would open every operation.
    for name in ("host", "x-amz-target"):
        if name not in claim.signed_headers and (name == "host" or name in exchange.headers):
            shown = "'Host' or ':authority'" if name == "host" else "'X-Amz-Target'"
            raise SignatureMismatch(f"{shown} must be a 'SignedHeader' in the AWS Authorization.")


def _payload(exchange: Exchange, body_sha256: str | None, unsigned_payload: bool) -> str:
    declared = exchange.headers.get("x-amz-content-sha256")
    if declared is None:
        if body_sha256 is None:
            raise Malformed("A streamed body needs the 'x-amz-content-sha256' header.")
        return body_sha256
    if declared == UNSIGNED_PAYLOAD and unsigned_payload:
        return declared
    if body_sha256 is not None and not hmac.compare_digest(declared.encode(), body_sha256.encode()):
        raise SignatureMismatch("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return declared


def _drafts(exchange: Exchange, claim: _Claim, payload: str) -> Iterator[Draft]:
    """The request as it may have been signed; the second only where a signer took the query for encoded already.

    Safe, because nothing is gained by it: a text that is not the encoded form of itself, such as a raw plus, is never
    a request's first form, so one signature never covers two requests that mean different things.
    """
    headers = [(name, _signed_value(exchange.headers.get(name, ""))) for name in claim.signed_headers]
    path = canonical_path(exchange.path, s3=claim.scope.service == "s3")
    query, as_sent = canonical_query(exchange.query), query_as_sent(exchange.query)
    yield Draft(exchange.method, path, query, headers, payload)
    if as_sent != query:
        yield Draft(exchange.method, path, as_sent, headers, payload)


def _signed_value(value: str) -> str:
    # A header's bytes arrive as Latin-1, one character a byte; signers write UTF-8.
    if not value.isascii():
        value = value.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    return " ".join(value.split())
