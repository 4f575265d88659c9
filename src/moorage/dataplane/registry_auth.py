"""Who may use the registry: HTTP Basic with an access key, as `docker login` sends it."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import Final

from moorage.base.ids import AccessKeyId
from moorage.dataplane.registry_errors import RegistryError
from moorage.model.principal import AccessKey
from moorage.wire.http import Request

Authenticate = Callable[[Request], AccessKey | None]

CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="moorage"')


def basic(key_for: Callable[[AccessKeyId], AccessKey | None]) -> Authenticate:
    """Authentication by Basic: the user is an access key's id, the password its secret."""

    def authenticate(request: Request) -> AccessKey | None:
        given = _credentials(request.headers.get("authorization", ""))
        if given is None:
            return None
        key = key_for(AccessKeyId(given[0]))
        # An unknown id is compared as well, so that the time taken does not tell which ids exist.
        secret = key.secret if key is not None else ""
        same = hmac.compare_digest(secret.encode(), given[1].encode())
        return key if same and secret else None

    return authenticate


def admit(request: Request, authenticate: Authenticate) -> AccessKey:
    """Who asks, if they may: nodes pull and do nothing else."""
    key = authenticate(request)
    if key is None:
        raise RegistryError("UNAUTHORIZED", "authentication required", headers=(CHALLENGE,))
    if key.kind == "node" and request.method not in ("GET", "HEAD"):
        raise RegistryError("DENIED", "a node's access key may pull images only")
    return key


def _credentials(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None
