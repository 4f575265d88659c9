"""A service as botocore's model describes it, read so that an operation costs only the shapes it needs.

The model file is decompressed and split into its entries once, each entry kept as undecoded JSON (a view into one
buffer); an operation decodes the shapes it reaches when it is first called. `docs/decisions/service-models.md` has
the figures and what was rejected.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from moorage.wire.shapes import Kind, Member, Shape

__all__ = ["ModelMissing", "Operation", "Service", "ServiceFacts", "open_service"]

_LATEST_FILE = "service-2.json.gz"
_UNTYPED_EMPTY = "__Empty"


class ModelMissing(Exception):
    """The installed botocore has no model for a service."""


class ServiceFacts(msgspec.Struct, frozen=True, rename="camel"):
    """The model's own header."""

    api_version: str
    endpoint_prefix: str
    protocol: str
    service_id: str
    protocols: tuple[str, ...] = ()
    json_version: str = "1.1"
    target_prefix: str = ""
    signing_name: str = ""
    xml_namespace: str = ""
    aws_query_compatible: dict[str, str] | None = None  # errors then carry their old query code too

    @property
    def signed_as(self) -> str:
        """The service's name in a credential scope."""
        return self.signing_name or self.endpoint_prefix


class Operation(msgspec.Struct, frozen=True, eq=False):
    """One operation, compiled: what goes in, what comes out, and which status each of its errors has."""

    service: str
    facts: ServiceFacts
    name: str
    input: Shape
    output: Shape | None
    result_wrapper: str | None
    statuses: Mapping[str, int]  # by error code; a model without statuses gives 400, or 500 for its own faults
    method: str
    uri: str
    unsigned: bool  # such as AssumeRoleWithWebIdentity: called by those who have no key yet


class _RawReference(msgspec.Struct, frozen=True, rename="camel"):
    shape: str
    location_name: str | None = None
    query_name: str | None = None
    flattened: bool = False
    result_wrapper: str | None = None


class _RawError(msgspec.Struct, frozen=True, rename="camel"):
    code: str | None = None
    http_status_code: int | None = None


class _RawShape(msgspec.Struct, frozen=True, rename="camel"):
    type: Kind
    members: dict[str, _RawReference] = {}
    member: _RawReference | None = None
    key: _RawReference | None = None
    value: _RawReference | None = None
    required: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    flattened: bool = False
    document: bool = False
    sensitive: bool = False
    fault: bool = False
    error: _RawError | None = None


class _RawHttp(msgspec.Struct, frozen=True, rename="camel"):
    method: str
    request_uri: str


class _RawOperation(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    http: _RawHttp
    input: _RawReference | None = None
    output: _RawReference | None = None
    errors: tuple[_RawReference, ...] = ()
    authtype: str | None = None


class _RawModel(msgspec.Struct, frozen=True):
    metadata: ServiceFacts
    operations: dict[str, msgspec.Raw]
    shapes: dict[str, msgspec.Raw]


class Service:
    """A service's model. Operations are compiled when first asked for, and kept."""

    def __init__(self, name: str, model: bytes) -> None:
        raw = msgspec.json.decode(model, type=_RawModel)
        self.name = name
        self.facts = raw.metadata
        self._raw_operations = raw.operations
        self._raw_shapes = raw.shapes
        self._operations: dict[str, Operation] = {}
        self._shapes: dict[tuple[str, bool], Shape] = {}

    @property
    def operation_names(self) -> frozenset[str]:
        """Every operation that the model knows, whether Moorage answers it or not."""
        return frozenset(self._raw_operations)

    def operation(self, name: str) -> Operation | None:
        """The operation compiled, or None where the service has none of that name."""
        known = self._operations.get(name)
        if known is None and name in self._raw_operations:
            known = self._operations[name] = self._compile(name)
        return known

    def _compile(self, name: str) -> Operation:
        raw = msgspec.json.decode(self._raw_operations[name], type=_RawOperation)
        return Operation(
            service=self.name,
            facts=self.facts,
            name=name,
            input=self._shape(raw.input.shape) if raw.input else Shape(_UNTYPED_EMPTY, "structure", {}),
            output=self._shape(raw.output.shape) if raw.output else None,
            result_wrapper=raw.output.result_wrapper if raw.output else None,
            statuses=self._statuses(raw.errors),
            method=raw.http.method,
            uri=raw.http.request_uri,
            unsigned=raw.authtype == "none",
        )

    def _statuses(self, errors: tuple[_RawReference, ...]) -> dict[str, int]:
        statuses: dict[str, int] = {}
        for reference in errors:
            raw = self._raw_shape(reference.shape)
            error = raw.error or _RawError()
            # The code on the wire may differ from the shape's name (iam: NoSuchEntityException, NoSuchEntity).
            statuses[error.code or reference.shape] = error.http_status_code or (500 if raw.fault else 400)
        return statuses

    def _raw_shape(self, name: str) -> _RawShape:
        return msgspec.json.decode(self._raw_shapes[name], type=_RawShape)

    def _shape(self, name: str, flattened: bool = False) -> Shape:
        # Where a member says "flattened", its list is another shape than the same list elsewhere.
        known = self._shapes.get((name, flattened))
        if known is not None:
            return known
        raw = self._raw_shape(name)
        members: dict[str, Member] = {}
        shape = self._shapes[name, flattened] = Shape(
            name=name,
            kind=raw.type,
            members=members,
            required=raw.required,
            minimum=raw.min,
            maximum=raw.max,
            pattern=raw.pattern,
            enum=raw.enum,
            flattened=flattened or raw.flattened,
            document=raw.document,
            sensitive=raw.sensitive,
        )
        # Filled only now: a shape may contain itself.
        members.update((key, self._member(reference)) for key, reference in _references(raw))
        return shape

    def _member(self, reference: _RawReference) -> Member:
        shape = self._shape(reference.shape, reference.flattened)
        return Member(shape, reference.location_name, reference.query_name)


def open_service(name: str) -> Service:
    """Read the newest model of the service that botocore calls `name`; raises `ModelMissing`."""
    root = _models() / name
    versions = sorted(path for path in root.glob("*") if (path / _LATEST_FILE).is_file())
    if not versions:
        raise ModelMissing(f"botocore has no model of the service {name!r}")
    return Service(name, gzip.decompress((versions[-1] / _LATEST_FILE).read_bytes()))


def _models() -> Path:
    # botocore.loaders would import half of botocore (80 ms) to find a directory.
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing("botocore is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


def _references(raw: _RawShape) -> list[tuple[str, _RawReference]]:
    elements = (("member", raw.member), ("key", raw.key), ("value", raw.value))
    return [*raw.members.items(), *((key, reference) for key, reference in elements if reference)]
