"""Every way in which a signature can be wrong, and the code that each protocol family has for it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from moorage.wire.protocol import Family
from moorage.wire.signer import Signer
from moorage.wire.verify import (
    Malformed,
    NotSigned,
    SessionExpired,
    SignatureError,
    SignatureMismatch,
    Signed,
    SigningKey,
    UnknownKey,
    refusal,
    verify,
)
from tests.unit.wire.exchange import request

KEY_ID, SECRET, NOW_S = "AKIAIOSFODNN7EXAMPLE", "secret", 1_769_860_800.0
BODY = b'{"cluster":"default"}'
SIGNER = Signer(access_key_id=KEY_ID, secret=SECRET, region="us-east-1", service="ecs")
Headers = dict[str, str]


def signed_headers(now_s: float = NOW_S, signer: Signer = SIGNER) -> Headers:
    headers = {"x-amz-target": "Svc.ListClusters", "content-type": "application/x-amz-json-1.1"}
    return signer.headers("POST", "http://moor.example/", headers=headers, body=BODY, now_s=now_s)


def check(
    headers: Headers, *, now_s: float = NOW_S, body: bytes = BODY, key: SigningKey | None = None, query: str = ""
) -> Signed:
    known = {KEY_ID: key or SigningKey(SECRET)}
    exchange = request(method="POST" if not query else "GET", query=query, headers=headers)
    return verify(exchange, sha256(body).hexdigest(), now_s, known.get, "ecs")


def with_authorization(change: Callable[[str], str]) -> Headers:
    headers = signed_headers()
    headers["authorization"] = change(headers["authorization"])
    return headers


def test_a_request_without_signature_is_not_signed() -> None:
    with pytest.raises(NotSigned, match="Missing Authentication Token"):
        check({"host": "moor.example"})


def test_an_unknown_key_is_told_apart_from_a_wrong_signature() -> None:
    with pytest.raises(UnknownKey, match="security token included in the request is invalid"):
        check(with_authorization(lambda text: text.replace(KEY_ID, "AKIAUNKNOWN")))


def test_a_signature_by_another_secret_does_not_match() -> None:
    other = Signer(access_key_id=KEY_ID, secret="other", region="us-east-1", service="ecs")
    with pytest.raises(SignatureMismatch, match="does not match the signature you provided"):
        check(signed_headers(signer=other))


def test_a_changed_body_does_not_match() -> None:
    with pytest.raises(SignatureMismatch):
        check(signed_headers(), body=b"{}")


@pytest.mark.parametrize("name", ["x-amz-target", "host", "content-type", "x-amz-date"])
def test_a_changed_signed_header_does_not_match(name: str) -> None:
    headers = signed_headers()
    headers[name] = "20260131T120001Z" if name == "x-amz-date" else headers[name] + "x"
    with pytest.raises(SignatureMismatch):
        check(headers)


def test_a_signature_that_is_no_ascii_does_not_match() -> None:
    with pytest.raises(SignatureMismatch):
        check(with_authorization(lambda text: text[:-4] + "éééé"))


@pytest.mark.parametrize("off_s", [-901, 901])
def test_more_than_fifteen_minutes_off_is_refused_and_says_which_way(off_s: int) -> None:
    with pytest.raises(SignatureMismatch, match="expired" if off_s < 0 else "not yet current"):
        check(signed_headers(NOW_S + off_s))


@pytest.mark.parametrize("off_s", [-899, 899])
def test_less_than_fifteen_minutes_off_is_accepted(off_s: int) -> None:
    assert check(signed_headers(NOW_S + off_s)).access_key_id == KEY_ID


def test_a_scope_of_another_day_is_refused() -> None:
    with pytest.raises(SignatureMismatch, match="does not match YYYYMMDD"):
        check(with_authorization(lambda text: text.replace("/20260131/", "/20260130/")))


def test_a_scope_of_another_service_is_refused() -> None:
    other = Signer(access_key_id=KEY_ID, secret=SECRET, region="us-east-1", service="sts")
    with pytest.raises(SignatureMismatch, match="correct service: 'ecs'"):
        check(signed_headers(signer=other))


def test_the_host_must_be_signed() -> None:
    with pytest.raises(SignatureMismatch, match="'Host' or ':authority' must be a 'SignedHeader'"):
        check(with_authorization(lambda text: text.replace(";host;", ";")))


def test_the_operation_must_be_signed() -> None:
    headers = SIGNER.headers("POST", "http://moor.example/", headers={}, body=BODY, now_s=NOW_S)
    with pytest.raises(SignatureMismatch, match="X-Amz-Target"):
        check(headers | {"x-amz-target": "Svc.DeleteCluster"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("Credential=", "C="), "requires 'Credential' parameter"),
        (lambda text: text.replace("Signature=", "S="), "requires 'Signature' parameter"),
        (lambda text: text.replace("SignedHeaders=", "H="), "requires 'SignedHeaders' parameter"),
        (lambda text: text.replace("/ecs/", "/"), "exactly 5 slash-delimited elements"),
        (lambda text: text.replace("HMAC-SHA256", "ECDSA-P256-SHA256"), "4A is not supported"),
        (lambda _: "Basic dXNlcjpwYXNz", "Unsupported AWS 'algorithm'"),
        (lambda _: "", "Unsupported AWS 'algorithm'"),
    ],
)
def test_an_unreadable_signature_says_what_is_missing(change: Callable[[str], str], sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        check(with_authorization(change))


def test_a_request_without_date_is_unreadable() -> None:
    headers = signed_headers()
    del headers["x-amz-date"]
    with pytest.raises(Malformed, match="either a 'X-Amz-Date' or a 'Date'"):
        check(headers)


@pytest.mark.parametrize("date", ["yesterday", "20261399T999999Z", "2026-01-31T12:00:00Z", "é" * 16])
def test_a_date_in_another_form_is_unreadable(date: str) -> None:
    with pytest.raises(Malformed, match="basic format"):
        check(signed_headers() | {"x-amz-date": date})


def test_a_session_token_must_be_this_keys_own() -> None:
    session = Signer(access_key_id=KEY_ID, secret=SECRET, region="us-east-1", service="ecs", session_token="token")
    headers = signed_headers(signer=session)
    assert check(headers, key=SigningKey(SECRET, "token", NOW_S + 1)).access_key_id == KEY_ID
    for key in (SigningKey(SECRET), SigningKey(SECRET, "another")):
        with pytest.raises(UnknownKey):
            check(headers, key=key)
    with pytest.raises(UnknownKey):
        check(signed_headers(), key=SigningKey(SECRET, "token"))
    with pytest.raises(SessionExpired):
        check(headers, key=SigningKey(SECRET, "token", NOW_S))


def test_a_declared_payload_hash_must_be_the_bodys() -> None:
    headers = {"x-amz-content-sha256": sha256(b"other").hexdigest()}
    signed = SIGNER.headers("POST", "http://moor.example/", headers=headers, body=BODY, now_s=NOW_S)
    with pytest.raises(SignatureMismatch, match="x-amz-content-sha256"):
        check(signed)


def test_an_unsigned_payload_needs_leave() -> None:
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    signed = SIGNER.headers("POST", "http://moor.example/", headers=headers, body=BODY, now_s=NOW_S)
    with pytest.raises(SignatureMismatch):
        check(signed)
    key = SigningKey(SECRET)
    exchange = request(headers=signed)
    assert verify(exchange, None, NOW_S, {KEY_ID: key}.get, "ecs", unsigned_payload=True).access_key_id == KEY_ID


def presigned_query(expires_s: int = 60) -> str:
    url = SIGNER.presign("GET", "http://moor.example/", now_s=NOW_S, expires_s=expires_s)
    return url.partition("?")[2]


def test_a_presigned_url_ends_after_its_own_time() -> None:
    headers = {"host": "moor.example"}
    check(headers, query=presigned_query(), body=b"", now_s=NOW_S + 60)
    with pytest.raises(SignatureMismatch, match="Signature expired"):
        check(headers, query=presigned_query(), body=b"", now_s=NOW_S + 61)
    with pytest.raises(SignatureMismatch, match="not yet current"):
        check(headers, query=presigned_query(), body=b"", now_s=NOW_S - 1000)


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "x", "", "²", "9999999999"])
def test_a_presigned_url_lives_a_second_to_a_week(expires: str) -> None:
    query = presigned_query().replace("X-Amz-Expires=60", f"X-Amz-Expires={expires}")
    with pytest.raises(Malformed, match="X-Amz-Expires"):
        check({"host": "moor.example"}, query=query, body=b"")


def test_a_presigned_url_cannot_be_stretched() -> None:
    query = presigned_query().replace("X-Amz-Expires=60", "X-Amz-Expires=600")
    with pytest.raises(SignatureMismatch):
        check({"host": "moor.example"}, query=query, body=b"")
    with pytest.raises(Malformed, match="more than once"):
        check({"host": "moor.example"}, query=f"{presigned_query()}&X-Amz-Expires=600", body=b"")


CODES: list[tuple[type[SignatureError], Family, str, int]] = [
    (NotSigned, "query", "MissingAuthenticationToken", 403),
    (NotSigned, "json", "MissingAuthenticationTokenException", 400),
    (NotSigned, "ec2", "AuthFailure", 401),
    (UnknownKey, "query", "InvalidClientTokenId", 403),
    (UnknownKey, "json", "UnrecognizedClientException", 400),
    (UnknownKey, "ec2", "AuthFailure", 401),
    (SignatureMismatch, "query", "SignatureDoesNotMatch", 403),
    (SignatureMismatch, "json", "InvalidSignatureException", 400),
    (SignatureMismatch, "ec2", "AuthFailure", 401),
    (Malformed, "query", "IncompleteSignature", 400),
    (Malformed, "json", "IncompleteSignatureException", 400),
    (Malformed, "ec2", "AuthFailure", 401),
    (SessionExpired, "query", "ExpiredToken", 403),
    (SessionExpired, "json", "ExpiredTokenException", 400),
    (SessionExpired, "ec2", "RequestExpired", 400),
]


@pytest.mark.parametrize(("error", "family", "code", "status"), CODES)
def test_each_family_has_its_code(error: type[SignatureError], family: Family, code: str, status: int) -> None:
    refused = refusal(error("why"), family)
    assert (refused.code, refused.status, refused.message) == (code, status, "why")
