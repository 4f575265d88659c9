"""What of AWS's models Moorage does not carry out: operations, and members of the requests of those it does.

python -m tests.conformance.coverage > tests/conformance/uncovered.txt
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from moorage.api.call import Operation
from moorage.boot.services import SERVICES
from moorage.gateway.requests import members, request_type
from moorage.wire.service import open_service
from moorage.wire.shapes import Shape

UNCOVERED = Path(__file__).with_name("uncovered.txt")


def uncovered() -> Iterator[str]:
    """A line for each gap, in order."""
    for service, operations in sorted(SERVICES.items()):
        model = open_service(service)
        for name in sorted(model.operation_names):
            if name not in operations:
                yield f"{service} {name}"
                continue
            compiled = model.operation(name)
            assert compiled is not None
            for path in _gaps(compiled.input, request_type(operations[name]), ()):
                yield f"{service} {name} {path}"


def misnamed(operations: Mapping[str, Operation], service: str) -> Iterator[str]:
    """Members that we declare and AWS does not have: nothing could ever arrive in them."""
    model = open_service(service)
    for name, operation in operations.items():
        compiled = model.operation(name)
        if compiled is None:
            yield f"{service} {name}"
        else:
            yield from (f"{service} {name} {path}" for path in _strangers(compiled.input, request_type(operation)))


def _gaps(shape: Shape, struct: type[msgspec.Struct], inside: tuple[str, ...]) -> Iterator[str]:
    ours = members(struct)
    for name, member in sorted(shape.members.items()):
        if name not in ours:
            yield name
            continue
        inner, suffix = _inner(member.shape)
        nested = _struct_of(ours[name])
        if inner.kind == "structure" and nested is not None and inner.name not in inside:
            for path in _gaps(inner, nested, (*inside, inner.name)):
                yield f"{name}{suffix}.{path}"
        elif inner.kind == "structure" and nested is None:
            yield f"{name}{suffix}"


def _strangers(shape: Shape, struct: type[msgspec.Struct]) -> Iterator[str]:
    for name, kind in members(struct).items():
        if name not in shape.members:
            yield name
            continue
        nested = _struct_of(kind)
        inner, suffix = _inner(shape.members[name].shape)
        if nested is not None and inner.kind == "structure":
            yield from (f"{name}{suffix}.{path}" for path in _strangers(inner, nested))


def _inner(shape: Shape) -> tuple[Shape, str]:
    if shape.kind == "list":
        return shape.members["member"].shape, "[]"
    return shape, ""


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    for argument in typing.get_args(kind):
        found = _struct_of(argument)
        if found is not None:
            return found
    return None


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in uncovered())
