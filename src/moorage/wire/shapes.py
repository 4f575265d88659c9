"""The shapes of a service model, and one way to compile them into functions.

A shape is a type of AWS's interface language (Smithy, in the form that botocore ships): a structure with named
members, a list, a map or a scalar. Every codec here is a `Maker`: it says what a structure, a list, a map and a
scalar mean to it; `Compiler` walks a shape once and keeps what the maker built, so a request pays for no lookups
in the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

Value = str | int | float | bool | bytes | list["Value"] | dict[str, "Value"]
"""A member of a parsed request. Timestamps are seconds since the epoch, blobs are bytes."""

Input = dict[str, Value]
"""A parsed request: the model's member names; absent members are absent, never None."""

Kind = Literal[
    "structure",
    "list",
    "map",
    "string",
    "character",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "blob",
    "timestamp",
]

T = TypeVar("T")


class Member(msgspec.Struct, frozen=True, eq=False):
    """A reference to a shape from inside another one, with the names it goes by on the wire."""

    shape: Shape
    location_name: str | None
    query_name: str | None  # ec2's own override of `location_name` for input


class Shape(msgspec.Struct, frozen=True, eq=False):
    """One type of the model. `members` holds "member" for a list, "key" and "value" for a map."""

    name: str
    kind: Kind
    members: dict[str, Member]
    required: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    flattened: bool = False  # a list or map without an element of its own around it, in forms and XML
    document: bool = False  # any JSON value, untyped
    sensitive: bool = False

    def shapes(self) -> set[Shape]:
        """This shape and all that it reaches."""
        found = {self}
        waiting = [self]
        while waiting:
            inner = {member.shape for member in waiting.pop().members.values()} - found
            found |= inner
            waiting.extend(inner)
        return found


class Maker(Protocol[T]):
    """What a codec builds for each kind of shape."""

    def structure(self, shape: Shape, fields: Mapping[str, T], /) -> T:
        """`fields` is still empty where the shape contains itself: look members up when called, not before."""
        ...

    def sequence(self, shape: Shape, element: T, /) -> T: ...

    def mapping(self, shape: Shape, key: T, value: T, /) -> T: ...

    def scalar(self, shape: Shape, /) -> T: ...


class Compiler(Generic[T]):
    """Builds with a maker, once per structure; a structure may contain itself."""

    def __init__(self, maker: Maker[T]) -> None:
        self._maker = maker
        self._built: dict[Shape, T] = {}

    def of(self, shape: Shape) -> T:
        """What the maker built for `shape`."""
        built = self._built.get(shape)
        return self._build(shape) if built is None else built

    def _build(self, shape: Shape) -> T:
        if shape.kind == "structure" and not shape.document:
            fields: dict[str, T] = {}
            # Registered before its members are built, so that a recursive shape finds itself here.
            built = self._built[shape] = self._maker.structure(shape, fields)
            fields.update((name, self.of(member.shape)) for name, member in shape.members.items())
            return built
        if shape.kind == "list":
            built = self._maker.sequence(shape, self.of(shape.members["member"].shape))
        elif shape.kind == "map":
            key, value = shape.members["key"].shape, shape.members["value"].shape
            built = self._maker.mapping(shape, self.of(key), self.of(value))
        else:
            built = self._maker.scalar(shape)
        self._built[shape] = built
        return built


Reader = Callable[[object], Value]
"""From what a decoder returned to a member's value; raises `Mismatch`."""


class Mismatch(Exception):
    """A value has not the type that the model asks for; `path` grows outwards as the error rises."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(found, wanted)
        self.found = found
        self.wanted = wanted
        self.path: list[str] = []

    def inside(self, name: str) -> Mismatch:
        """The same error, seen from one level further out."""
        self.path.insert(0, name)
        return self

    @property
    def place(self) -> str:
        """Where it happened, such as `containerDefinitions.1.memory`; list elements count from 1."""
        return ".".join(self.path)
