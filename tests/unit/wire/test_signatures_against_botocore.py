"""Signature Version 4 with botocore on the other side: its signatures verify here, ours equal its."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from moorage.wire.http import Request
from moorage.wire.signer import Signer
from moorage.wire.sigv4 import EMPTY_SHA256, amz_date
from moorage.wire.verify import Signed, SigningKey, verify
from tests.unit.wire.exchange import request

KEY_ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "tok/en+with=signs&"
REGION, SERVICE = "eu-central-1", "ecs"

ODD_URLS = [
    "http://moor.example/",
    "http://moor.example:4566",
    "http://moor.example/a//b/./c/../d/",
    "http://moor.example/..",
    "http://moor.example/space%20here/and%2Fslash/%C3%BC",
    "http://moor.example/tags/arn%3Aaws%3Aecs%3Aeu-central-1%3A1%3Acluster%2Fx",
    "http://moor.example/~tilde/-_.!*'();:@$,/",
    "http://moor.example/?b=2&a=1&b=1&a=",
    "http://moor.example/?a&c=&b=x%20y&b=x%2By",
    "http://moor.example/?%C3%BC=%E2%98%83&Z=1&a=2&A=3&%7E=~",
    "http://moor.example/?X-Amz-Meta=1&x-amz-meta=2&k=a%3Db%26c",
]


def sent(method: str, url: str, headers: dict[str, str]) -> Request:
    """The request as our server would hand it over: raw target, lower-case names, one Latin-1 character a byte."""
    parts = urlsplit(url)
    arrived = {name.lower(): value.encode().decode("latin-1").strip() for name, value in headers.items()}
    arrived.setdefault("host", parts.netloc)
    return request(method=method, path=parts.path or "/", query=parts.query, headers=arrived)


def check(exchange: Request, body: bytes, token: str | None = None, *, now_s: float) -> Signed:
    def secret_for(key_id: str) -> SigningKey | None:
        return SigningKey(SECRET, token) if key_id == KEY_ID else None

    return verify(exchange, sha256(body).hexdigest(), now_s, secret_for, SERVICE)


def boto_signed(url: str, body: bytes, headers: dict[str, str], token: str | None = None) -> AWSRequest:
    signed = AWSRequest("POST", url, data=body, headers=headers)
    SigV4Auth(Credentials(KEY_ID, SECRET, token), SERVICE, REGION).add_auth(signed)
    return signed


def now() -> float:
    """botocore signs for the hour it reads itself."""
    return datetime.now(UTC).timestamp()


@pytest.mark.parametrize("url", ODD_URLS)
@pytest.mark.parametrize("token", [None, TOKEN], ids=["key", "session"])
def test_what_botocore_signs_in_a_header_is_verified(url: str, token: str | None) -> None:
    body = "{}é".encode()
    signed = boto_signed(url, body, {"X-Amz-Target": "Svc.Op", "Content-Type": "application/json"}, token)
    caller = check(sent("POST", url, dict(signed.headers)), body, token, now_s=now())
    assert (caller.access_key_id, caller.region, caller.service) == (KEY_ID, REGION, SERVICE)
    assert not caller.presigned


@pytest.mark.parametrize("url", ODD_URLS)
@pytest.mark.parametrize("token", [None, TOKEN], ids=["key", "session"])
def test_what_botocore_presigns_is_verified(url: str, token: str | None) -> None:
    signed = AWSRequest("GET", url)
    SigV4QueryAuth(Credentials(KEY_ID, SECRET, token), SERVICE, REGION, expires=60).add_auth(signed)
    assert check(sent("GET", signed.url, {}), b"", token, now_s=now()).presigned


@pytest.mark.parametrize("value", ["  folded   inner\t spaces ", "", "ünï ☃", "a,b , c", '"quoted   spaces"'])
def test_header_values_are_trimmed_and_folded_as_botocore_does(value: str) -> None:
    signed = boto_signed("http://moor.example/", b"", {"X-Odd": value, "X-Amz-Target": "Svc.Op"})
    check(sent("POST", "http://moor.example/", dict(signed.headers)), b"", now_s=now())


def test_a_raw_plus_verifies_whether_it_was_signed_as_a_plus_or_as_a_space() -> None:
    as_plus = "http://moor.example/?a=b+c"
    signed = boto_signed(as_plus, b"", {})
    check(sent("POST", as_plus, dict(signed.headers)), b"", now_s=now())
    as_space = boto_signed("http://moor.example/?a=b%20c", b"", {})
    check(sent("POST", as_plus, dict(as_space.headers)), b"", now_s=now())


# Any text but lone surrogates, which no URL can carry.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(pairs=st.lists(st.tuples(texts, texts), max_size=5), path=st.lists(texts, max_size=4), body=st.binary())
def test_any_request_that_we_sign_is_signed_as_botocore_would(
    pairs: list[tuple[str, str]], path: list[str], body: bytes
) -> None:
    quote = botocore.auth.quote
    segments = "/".join(quote(part, safe="~") for part in path)
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    url = f"http://moor.example/{segments}?{query}"
    theirs = boto_signed(url, body, {"Content-Type": "text/plain"})
    signer = Signer(access_key_id=KEY_ID, secret=SECRET, region=REGION, service=SERVICE)
    date = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    headers = {"content-type": "text/plain"}
    ours = signer.headers("POST", url, headers=headers, body=body, now_s=date.timestamp())
    assert ours["authorization"] == theirs.headers["Authorization"]
    check(sent("POST", url, ours), body, now_s=date.timestamp())


@pytest.mark.parametrize("token", [None, TOKEN], ids=["key", "session"])
def test_what_we_presign_for_a_websocket_is_verified(token: str | None) -> None:
    signer = Signer(access_key_id=KEY_ID, secret=SECRET, region=REGION, service=SERVICE, session_token=token)
    url = signer.presign("GET", "wss://moor.example:4566/ws?agentHash=a b", now_s=1e9, expires_s=60)
    caller = check(sent("GET", url, {}), b"", token, now_s=1e9 + 59)
    assert caller.presigned
    assert caller.payload_sha256 == EMPTY_SHA256


def test_dates_are_written_in_basic_iso_8601() -> None:
    assert amz_date(1_769_860_800) == "20260131T120000Z"
