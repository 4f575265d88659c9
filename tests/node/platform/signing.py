"""Requests signed by hand, so that every part of a signature can be made wrong on its own."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from tests.node.platform.installation import Installation


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Signed:
    """A request and how it is signed; `dataclasses.replace` makes it wrong."""

    endpoint: str
    key_id: str
    secret: str
    service: str = "ecs"
    region: str = "us-east-1"
    method: str = "POST"
    query: str = ""
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    scope_day: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc

    def scope(self) -> str:
        day = self.scope_day or self.at.strftime("%Y%m%d")
        return f"{day}/{self.region}/{self.service}/aws4_request"

    def signature(self, headers: dict[str, str], query: str, payload: bytes) -> str:
        lines = [self.method, "/", query, *(f"{name}:{headers[name]}" for name in sorted(headers)), ""]
        lines += [";".join(sorted(headers)), hashlib.sha256(payload).hexdigest()]
        hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        stamp = self.at.strftime("%Y%m%dT%H%M%SZ")
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, self.scope(), hashed])
        key = b"AWS4" + self.secret.encode()
        for part in self.scope().split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def send(self, body: bytes | None = None) -> Answer:
        """Sign in the Authorization header and send; `body` instead of the one that was signed."""
        own = {"host": self.host, "x-amz-date": self.at.strftime("%Y%m%dT%H%M%SZ")}
        headers = own | {name.lower(): value for name, value in self.headers.items()}
        signature = self.signature(headers, self.query, self.body)
        names = ";".join(sorted(headers))
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{self.scope()}, SignedHeaders={names}, Signature={signature}"
        )
        return exchange(self.host, self.method, f"/?{self.query}" if self.query else "/", headers, body or self.body)

    def presigned(self, expires_s: int) -> str:
        """The path of a presigned GET."""
        one = replace(self, method="GET", body=b"")
        asked = dict(pair.split("=") for pair in self.query.split("&"))
        asked |= {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{one.key_id}/{one.scope()}",
            "X-Amz-Date": one.at.strftime("%Y%m%dT%H%M%SZ"),
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": "host",
        }
        query = urlencode(sorted(asked.items()), quote_via=quote, safe="-_.~")
        return f"/?{query}&X-Amz-Signature={one.signature({'host': one.host}, query, b'')}"

    def get(self, path: str) -> Answer:
        """Send a presigned GET."""
        return exchange(self.host, "GET", path, {"host": self.host}, b"")


def exchange(host: str, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
    finally:
        connection.close()


def ecs_call(installation: Installation, operation: str, body: bytes = b"{}") -> Signed:
    """An ECS call in JSON, rightly signed."""
    key_id, secret = installation.key()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"AmazonEC2ContainerServiceV20141113.{operation}",
    }
    return Signed(installation.endpoint, key_id, secret, body=body, headers=headers)


def form_call(installation: Installation, service: str, version: str, action: str, **members: str) -> Signed:
    """A call of a query or ec2 service as a form, rightly signed."""
    key_id, secret = installation.key()
    body = urlencode({"Action": action, "Version": version} | members).encode()
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return Signed(installation.endpoint, key_id, secret, service=service, body=body, headers=headers)
