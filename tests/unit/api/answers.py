"""Whether an answer is one that AWS's model allows: members that it has, of the types that it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

# Values that the API reference has and the enumerations of the model have not.
DOCUMENTED = {"dualStackIPv6"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, datetime),
    "blob": (str, bytes),
}


def faults(value: object, shape: Any, path: str = "") -> Iterator[str]:
    """Where `value` is not of that shape."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{path} is no structure"
            return
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name} is missing"
        for name, inner in value.items():
            if name in shape.members:
                yield from faults(inner, shape.members[name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is not in the model"
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for inner in value:
            yield from faults(inner, shape.member, f"{path}[]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{path} is no map"
            return
        for inner in value.values():
            yield from faults(inner, shape.value, f"{path}{{}}")
    elif not isinstance(value, _SCALARS[kind]) or (kind != "boolean" and isinstance(value, bool)):
        yield f"{path} is {value!r}, no {kind}"
    elif getattr(shape, "enum", None) and value not in shape.enum and value not in DOCUMENTED:
        yield f"{path} is {value!r}, which is not one of {shape.enum}"
