"""Which service and operation a request is for, and which protocol it speaks.

In this order: the CBOR protocol's header, `X-Amz-Target`, `Action=`, and only then paths. Never the Host: an
installation has one. Whatever cannot be placed is refused with 4xx in the protocol that it speaks: a 5xx would be
retried by clients for minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

from moorage.base.errors import MoorageError, Refused
from moorage.wire.catalogue import KNOWN, Known
from moorage.wire.ec2 import EC2
from moorage.wire.form import MalformedForm, parameters
from moorage.wire.http import Request
from moorage.wire.json import JSON_1_0, JSON_1_1
from moorage.wire.protocol import Codec, Family
from moorage.wire.query import QUERY
from moorage.wire.service import Operation, Service, open_service

__all__ = ["Dispatcher", "Misdirected", "Target", "unknown_operation"]

_CREDENTIAL_SERVICE: Final = re.compile(r"(?:Credential=|\A)[^/,\s]+/\d{8}/[^/,\s]*/([^/,\s]+)/aws4_request")
_BY_TARGET: Final = {known.target_prefix: known for known in KNOWN if known.target_prefix}
_FORM: Final = "application/x-www-form-urlencoded"


class Target(NamedTuple):
    """Where a request goes."""

    protocol: Codec
    service: Service
    operation: Operation


class Misdirected(MoorageError):
    """A request for nothing that is served here; answer with `protocol.refuse(refusal, request_id)`."""

    def __init__(self, protocol: Codec, refusal: Refused) -> None:
        super().__init__(refusal.message)
        self.protocol = protocol
        self.refusal = refusal


def unknown_operation(family: Family, message: str, *, status: Literal[400, 404] = 400) -> Refused:
    """The refusal of an operation that does not exist, or that this installation does not answer."""
    code = "UnknownOperationException" if family == "json" else "InvalidAction"
    return Refused(message, code=code, status=status)


class Dispatcher:
    """Places requests among the services that are served. A service's model is read when it is first called."""

    def __init__(self, served: Iterable[str]) -> None:
        self._served = {known.name: known for known in KNOWN if known.name in set(served)}
        unknown = set(served) - self._served.keys()
        assert not unknown, f"not in the catalogue: {sorted(unknown)}"
        self._services: dict[str, Service] = {}

    def service(self, name: str) -> Service:
        """The model of a served service."""
        assert name in self._served
        opened = self._services.get(name)
        if opened is None:
            opened = self._services[name] = open_service(name)
        return opened

    def dispatch(self, request: Request, body: bytes) -> Target:
        """The target of a request; raises `Misdirected`."""
        target = request.headers.get("x-amz-target")
        if target is not None and "smithy-protocol" not in request.headers:
            return self._by_target(request, target)
        if "smithy-protocol" in request.headers or request.path.startswith("/service/"):
            message = "This endpoint does not speak smithy-rpc-v2-cbor to this service."
            raise Misdirected(JSON_1_1, unknown_operation("json", message))
        return self._by_action(request, body)

    def _by_target(self, request: Request, target: str) -> Target:
        protocol = JSON_1_0 if "json-1.0" in request.headers.get("content-type", "") else JSON_1_1
        prefix, _, name = target.rpartition(".")  # CloudTrail's prefix has dots of its own
        known = _BY_TARGET.get(prefix)
        if known is None:
            message = f"X-Amz-Target names no service that is known here: {prefix[:128]!r}"
            raise Misdirected(protocol, unknown_operation("json", message))
        return self._target(protocol, known, name)

    def _by_action(self, request: Request, body: bytes) -> Target:
        if not _may_be_form(request):
            body = b""
        signed_for = _signed_for(request)
        protocol: Codec = EC2 if signed_for == "ec2" else QUERY
        try:
            found = parameters(request, body)
        except MalformedForm as error:
            raise Misdirected(protocol, error) from None
        action, version = found.get("Action"), found.get("Version", "")
        if action is None:
            # Not a form at all, so the JSON shape is the better guess; 404, as this is also every stray path.
            message = f"No operation is known for {request.method} {request.path[:128]}"
            raise Misdirected(JSON_1_1, unknown_operation("json", message, status=404))
        known = _by_version(signed_for, version)
        if known is None:
            message = f"Could not find operation {action[:128]} for version {version[:32] or 'NO_VERSION_SPECIFIED'}"
            raise Misdirected(protocol, unknown_operation(protocol.family, message))
        return self._target(EC2 if known.name == "ec2" else QUERY, known, action)

    def _target(self, protocol: Codec, known: Known, name: str) -> Target:
        if known.name not in self._served:
            message = f"The service {known.name} is not offered by this installation."
            raise Misdirected(protocol, unknown_operation(protocol.family, message))
        service = self.service(known.name)
        operation = service.operation(name)
        if operation is None:
            message = f"The action {name[:128]} is not valid for this web service."
            raise Misdirected(protocol, unknown_operation(protocol.family, message))
        return Target(protocol, service, operation)


def _may_be_form(request: Request) -> bool:
    content_type = request.headers.get("content-type", _FORM)
    return content_type.startswith(_FORM)


def _signed_for(request: Request) -> str | None:
    """The service in the credential scope, believed only for routing; `verify` checks it."""
    stated = request.headers.get("authorization")
    if stated is None:
        for part in request.query.split("&"):
            name, _, value = part.partition("=")
            if name == "X-Amz-Credential":
                stated = unquote(value)
    match = _CREDENTIAL_SERVICE.search(stated) if stated else None
    return match[1] if match else None


def _by_version(signed_for: str | None, version: str) -> Known | None:
    """The query service of that version; the credential scope tells services of equal versions apart."""
    same = [known for known in KNOWN if known.api_version == version]
    same.sort(key=lambda known: known.signed_as != signed_for)
    return same[0] if same else None
