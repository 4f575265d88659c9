"""Asking ECS as a client does: plain members in, plain members out, through the router's own reading."""

from __future__ import annotations

from typing import Any

import msgspec

from moorage.api.call import Call, Later
from moorage.api.ecs import OPERATIONS
from moorage.gateway.requests import Reader, not_supported, request_type

_READERS = {name: Reader(request_type(operation)) for name, operation in OPERATIONS.items()}


def ask(call: Call, operation: str, **members: object) -> Any:
    """The answer as JSON would carry it; raises `Refused` as the router does."""
    reader = _READERS[operation]
    paths = reader.unsupported(members)
    if paths:
        raise not_supported(paths, "InvalidParameterException")
    answer = OPERATIONS[operation](call, reader.read(members))
    assert not isinstance(answer, Later)
    return without_absent(msgspec.to_builtins(answer, str_keys=True))


def without_absent(value: object) -> object:
    """`value` as the wire tells it: members that are None are left out, tuples are lists."""
    if isinstance(value, dict):
        return {key: without_absent(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [without_absent(inner) for inner in value]
    return value
