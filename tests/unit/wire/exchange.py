"""Requests as tests write them, and botocore as the other side of every protocol."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import cache
from urllib.parse import urlencode

import msgspec
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.model import Shape as BotoShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from moorage.wire.http import Request, Response
from moorage.wire.service import Operation, Service, open_service

REQUEST_ID = "11111111-2222-4333-8444-555555555555"
_DEPTH_MAX = 6  # recursive shapes end here


class NoBody:
    """For requests whose body was read before."""

    async def read(self, limit_bytes: int) -> bytes:
        raise AssertionError(f"read already, of at most {limit_bytes}")

    def chunks(self) -> AsyncIterator[bytes]:
        raise AssertionError("read already")


def request(
    *, method: str = "POST", path: str = "/", query: str = "", headers: dict[str, str] | None = None
) -> Request:
    """A request whose body is passed beside it."""
    return Request(method=method, path=path, query=query, headers=headers or {}, peer="192.0.2.1", body=NoBody())


@cache
def service(name: str) -> Service:
    """A service's model, read once for all tests."""
    return open_service(name)


def operation(service_name: str, name: str) -> Operation:
    """An operation that must exist."""
    found = service(service_name).operation(name)
    assert found is not None
    return found


@cache
def boto_model(service_name: str) -> ServiceModel:
    """The same service to botocore."""
    return ServiceModel(Loader().load_service_model(service_name, "service-2"))


def boto_body(model: OperationModel, parameters: object) -> bytes:
    """The body that botocore sends."""
    serializer = create_serializer(model.service_model.metadata["protocol"], include_validation=False)
    body = serializer.serialize_to_request(parameters, model)["body"]
    if isinstance(body, dict):
        return urlencode(body).encode()
    assert isinstance(body, bytes)
    return body


def boto_reads(model: OperationModel, response: Response) -> object:
    """What botocore makes of an answer, without its own metadata."""
    assert isinstance(response.body, bytes)
    parser = create_parser(model.service_model.metadata["protocol"])
    headers = {name.lower(): value for name, value in response.headers}
    raw = {"status_code": response.status, "headers": headers, "body": response.body}
    parsed = parser.parse(raw, model.output_shape)
    assert isinstance(parsed, dict)
    parsed.pop("ResponseMetadata", None)
    return parsed


def some_value(shape: BotoShape, dice: random.Random, depth: int = 0) -> object:
    """A value of the shape, small."""
    if shape.type_name == "structure":
        return {
            name: some_value(member, dice, depth + 1)
            for name, member in shape.members.items()
            if depth < _DEPTH_MAX and (depth < 2 or dice.random() < 0.5)
        }
    if shape.type_name == "list":
        return [some_value(shape.member, dice, depth + 1) for _ in range(dice.randint(1, 3))]
    if shape.type_name == "map":
        keys = {f"key-{dice.randint(0, 99)} é&<" for _ in range(dice.randint(1, 2))}
        return {key: some_value(shape.value, dice, depth + 1) for key in sorted(keys)}
    if shape.type_name in {"integer", "long"}:
        return dice.randint(-5, 2**31 - 1)
    if shape.type_name in {"float", "double"}:
        return dice.randint(-1000, 1000) / 8
    if shape.type_name == "boolean":
        return dice.random() < 0.5
    if shape.type_name == "timestamp":
        return 1_700_000_000 + dice.randint(0, 10**7)
    if shape.type_name == "blob":
        return dice.randbytes(5)
    return dice.choice(["a", "ünï ☃ text", "<&>\"'+%20=\r\n;", "x" * 40])


def without_empty(value: object) -> object:
    """The same without empty structures and lists: a form cannot say them."""
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if item not in ({}, [])]
    return value


def plain(value: object) -> object:
    """Dates as seconds and bytes as they are, to compare botocore's reading with what was written."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    stamp = getattr(value, "timestamp", None)
    return stamp() if stamp is not None else value


def json_of(response: Response) -> object:
    """The body decoded."""
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)
