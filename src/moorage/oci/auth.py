"""Who we are to a registry: the answer to its `WWW-Authenticate` challenge.

Source: https://distribution.github.io/distribution/spec/auth/token/. Tokens are kept until the registry
refuses them, so no clock is needed to know how long they last.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import Final
from urllib.parse import urlencode

import msgspec

_CHALLENGE = re.compile(r'\b(basic|bearer)((?:[\s,]+[a-z_]+\s*=\s*(?:"[^"]*"|[^\s,"]+))*)', re.IGNORECASE)
_PARAMETER = re.compile(r'([a-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))', re.IGNORECASE)

ANY: Final = ""  # the scope of a request that concerns no repository


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A registry user. For an installation's own registry: access key id and secret key."""

    username: str
    password: str

    @property
    def basic(self) -> str:
        """The Authorization header's value."""
        raw = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(raw).decode()


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One way in that a registry offers."""

    scheme: str  # basic, bearer
    realm: str = ""
    service: str = ""
    scope: str = ""

    def token_url(self, scope: str) -> str:
        """Where the token for `scope` is had."""
        query = urlencode([(k, v) for k, v in (("service", self.service), ("scope", scope or self.scope)) if v])
        return f"{self.realm}{'&' if '?' in self.realm else '?'}{query}" if query else self.realm


def challenges(header: str) -> list[Challenge]:
    """What a `WWW-Authenticate` header offers, the strongest first."""
    found = []
    for scheme, rest in _CHALLENGE.findall(header):
        given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        found.append(
            Challenge(
                scheme=scheme.lower(),
                realm=given.get("realm", ""),
                service=given.get("service", ""),
                scope=given.get("scope", ""),
            )
        )
    return sorted(found, key=lambda each: each.scheme != "bearer")


class Wallet:
    """The Authorization values that have worked: tokens by scope, a password for everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_scope: dict[str, str] = {}
        self._basic: str | None = None

    def get(self, scope: str) -> str | None:
        with self._lock:
            return self._by_scope.get(scope, self._basic)

    def put_token(self, scope: str, token: str) -> None:
        with self._lock:
            self._by_scope[scope] = f"Bearer {token}"

    def put_basic(self, credentials: Credentials) -> None:
        with self._lock:
            self._basic = credentials.basic
