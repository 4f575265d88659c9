"""From a parsed request to the struct that an operation declares.

The struct is the list of what the operation carries out. A member that AWS's model has and the struct has not is
refused by name, at any depth, unless its value says nothing (absent, empty, false): clients send those by habit and
mean the default.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from moorage.base.errors import Refused

R = TypeVar("R", bound=msgspec.Struct)
Path = str
Check = Callable[[object, Path], "list[Path]"]
"""Gives the paths of the members inside a value that the type does not have."""


class BadMember(Exception):
    """A member has a value that its operation cannot take; `args[0]` says which and why."""


class Reader(Generic[R]):
    """Turns parsed requests of one operation into its request struct. Compiled once."""

    def __init__(self, struct: type[R]) -> None:
        self._struct = struct
        self._unsupported = _check(struct)

    def unsupported(self, request: Mapping[str, object]) -> list[Path]:
        """The paths of what the request asks for and the operation does not do."""
        return self._unsupported(request, "")

    def read(self, request: Mapping[str, object]) -> R:
        """The struct; raises `BadMember`."""
        try:
            return msgspec.convert(request, self._struct, strict=False)
        except msgspec.ValidationError as error:
            raise BadMember(str(error)) from error


def request_type(operation: Callable[..., Any]) -> type[msgspec.Struct]:
    """The type that an operation's second parameter is annotated with."""
    hints = typing.get_type_hints(operation)
    parameters = [name for name in hints if name != "return"]
    found = hints[parameters[1]]
    assert isinstance(found, type)
    assert issubclass(found, msgspec.Struct), f"{operation.__name__} does not declare its request"
    return found


def members(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Wire name to type of the struct's members."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def nothing_said(value: object) -> bool:
    """Whether a value is what an absent member would mean: nothing, or a structure of nothing."""
    if isinstance(value, dict):
        return all(nothing_said(inner) for inner in value.values())
    return value is None or value is False or value in ("", [])


def _check(kind: Any) -> Check:
    """The check for one type; None-able and repeated types are looked through."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _check_struct(kind)
    inner = [argument for argument in typing.get_args(kind) if argument not in (type(None), Ellipsis)]
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        checks = [_check(argument) for argument in inner]
        useful = [check for check in checks if check is not _anything]
        return useful[0] if useful else _anything
    if origin in (tuple, list) and inner:
        return _check_elements(_check(inner[0]))
    if origin is tuple:
        return _nothing
    return _anything


def _check_struct(struct: type[msgspec.Struct]) -> Check:
    checks = {name: _check(kind) for name, kind in members(struct).items()}

    def check(value: object, path: Path) -> list[Path]:
        if not isinstance(value, dict):
            return []
        found: list[Path] = []
        for name, inner in value.items():
            place = f"{path}.{name}" if path else name
            known = checks.get(name)
            if known is not None:
                if known is not _anything:
                    found += known(inner, place)
            elif not nothing_said(inner):
                found.append(place)
        return found

    return check


def _check_elements(element: Check) -> Check:
    if element is _anything:
        return _anything

    def check(value: object, path: Path) -> list[Path]:
        if not isinstance(value, list):
            return []
        return [place for number, one in enumerate(value) for place in element(one, f"{path}[{number}]")]

    return check


def _anything(value: object, path: Path) -> list[Path]:
    del value, path
    return []


def _nothing(value: object, path: Path) -> list[Path]:
    """The check of an empty tuple: a member that is answered but may not be filled yet."""
    return [] if nothing_said(value) else [path]


def not_supported(paths: list[Path], code: str) -> Refused:
    """The refusal for members that are not built yet."""
    named = ", ".join(paths[:8])
    verb = "is" if len(paths) == 1 else "are"
    return Refused(f"{named} {verb} not supported by Moorage yet.", code=code)
