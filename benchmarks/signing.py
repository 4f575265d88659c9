"""Requests signed with SigV4, as bytes ready to be sent: what a client costs must not hide what a server does."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import select
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Final

_TARGETS: Final = {"ecs": "AmazonEC2ContainerServiceV20141113"}


@dataclass(frozen=True)
class Key:
    """An access key."""

    id: str
    secret: str


@dataclass
class Signer:
    """Signs calls of one service; the key of the day is kept, as SDKs do."""

    key: Key
    region: str
    service: str
    host: str
    _day_keys: dict[str, bytes] = field(default_factory=dict)

    def headers(self, operation: str, body: bytes) -> dict[str, str]:
        """All that `operation` is sent with."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        signed = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.host,
            "x-amz-date": stamp,
            "x-amz-target": f"{_TARGETS[self.service]}.{operation}",
        }
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(self._day_key(stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def request(self, operation: str, members: dict[str, Any]) -> bytes:
        """A whole HTTP/1.1 request."""
        body = json.dumps(members).encode()
        headers = self.headers(operation, body) | {"content-length": str(len(body)), "connection": "keep-alive"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body

    def _day_key(self, day: str) -> bytes:
        if day not in self._day_keys:
            key = f"AWS4{self.key.secret}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._day_keys[day] = key
        return self._day_keys[day]


class Refused(Exception):
    """The server's answer was not a 200."""


class Caller:
    """One connection that is kept, as an SDK's is."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        host, _, port = signer.host.partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self._connect()

    def _connect(self) -> None:
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _renew(self) -> None:
        """A server closes what has been idle for long: then there is something to read, namely the end."""
        if select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()
            self._connect()

    def call(self, operation: str, members: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(members).encode()
        headers = self._signer.headers(operation, body)
        self._renew()
        self._connection.request("POST", "/", body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise Refused(f"{operation}: {answer.status} {content.decode(errors='replace')}")
        found: dict[str, Any] = json.loads(content)
        return found

    def close(self) -> None:
        self._connection.close()
