"""Whatever arrives, a codec reads it or refuses it: no other error leaves it, and it takes no time to speak of."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.errors import Refused
from moorage.wire.dispatch import Dispatcher, Misdirected
from moorage.wire.ec2 import EC2
from moorage.wire.json import JSON_1_1
from moorage.wire.protocol import Codec
from moorage.wire.query import QUERY
from moorage.wire.validate import validate
from moorage.wire.verify import SignatureError, SigningKey, verify
from tests.unit.wire.exchange import REQUEST_ID, operation, request

TARGETS: list[tuple[str, str]] = [
    ("ecs", "RegisterTaskDefinition"),
    ("ecs", "RunTask"),
    ("ecs", "SubmitTaskStateChange"),
    ("logs", "PutLogEvents"),
]
names = st.sampled_from(
    [name for service, op in TARGETS for name in operation(service, op).input.members] + ["name", "memory"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(body=st.dictionaries(names, values, max_size=6) | values)
@settings(max_examples=300)
def test_any_json_is_read_or_refused(body: object) -> None:
    encoded = msgspec.json.encode(body)
    for service, name in TARGETS:
        found = operation(service, name)
        with suppress(Refused):
            validate(found, JSON_1_1.parse(found, request(), encoded))


@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for codec, service, name in (
        (JSON_1_1, "ecs", "RunTask"),
        (QUERY, "sts", "AssumeRole"),
        (EC2, "ec2", "RunInstances"),
    ):
        found = operation(service, name)
        with suppress(Refused):
            validate(found, codec.parse(found, request(), body))


parts = st.sampled_from(
    ["Filter", "Name", "Value", "1", "2", "member", "Tags", "Key", "entry", "MaxResults", "", "²"]
)


@given(form=st.dictionaries(st.lists(parts, max_size=5).map(".".join), st.text(max_size=5), max_size=8))
@settings(max_examples=300)
def test_any_form_is_read_or_refused(form: dict[str, str]) -> None:
    body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
    targets: list[tuple[Codec, str, str]] = [(EC2, "ec2", "DescribeVpcs"), (QUERY, "sts", "AssumeRole")]
    for codec, service, name in targets:
        found = operation(service, name)
        with suppress(Refused):
            validate(found, codec.parse(found, request(), body))


lines = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
credentials = st.sampled_from(
    ["Credential=A/20260131/r/ecs/aws4_request", "SignedHeaders=host", "Signature=0", "=", ","]
)


@given(
    authorization=lines | st.lists(credentials | lines).map(lambda fields: "AWS4-HMAC-SHA256 " + ",".join(fields)),
    headers=st.dictionaries(
        st.sampled_from(["x-amz-date", "date", "host", "x-amz-security-token", "x-amz-content-sha256"]), lines
    ),
    query=st.lists(lines | st.just("X-Amz-Signature=0") | st.just("X-Amz-Algorithm=AWS4-HMAC-SHA256")).map("&".join),
)
@settings(max_examples=300)
def test_no_signature_made_up_is_verified(authorization: str, headers: dict[str, str], query: str) -> None:
    for sent in (headers, headers | {"authorization": authorization}):
        exchange = request(query=query, headers=sent)
        with pytest.raises(SignatureError):
            verify(exchange, "0" * 64, 1.77e9, lambda _: SigningKey("secret"), "ecs")
        with pytest.raises(Misdirected):
            Dispatcher(["ecs"]).dispatch(exchange, b"Action=x")


@pytest.mark.parametrize("codec", [JSON_1_1, QUERY, EC2], ids=["json", "query", "ec2"])
def test_a_refusal_of_any_text_can_be_written(codec: Codec) -> None:
    error = Refused("\x00\ufffe\ud800 <&>\"'", code="A&B")
    assert isinstance(codec.refuse(error, REQUEST_ID).body, bytes)
