"""Form-encoded requests of query and ec2: flat, dotted names to a tree, and the tree to typed members.

`Filter.1.Value.2=x` is a branch four levels deep. The protocols differ in what they call lists, maps and members;
`Names` says which.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl

from moorage.base.errors import Refused
from moorage.wire.http import Request
from moorage.wire.shapes import Member, Mismatch, Shape, Value
from moorage.wire.timestamps import from_text

__all__ = ["Branch", "FormReaderMaker", "MalformedForm", "Names", "TreeReader", "parameters", "tree_of"]

# ec2's largest requests carry a thousand ids with a few filters; this is ten times that.
_PARAMETERS_MAX: Final = 10_000
# The deepest input of any query or ec2 model has under twenty levels, two names for each.
_DEPTH_MAX: Final = 40
_BOOLEANS: Final = {"true": True, "false": False}
_INTEGER_BITS: Final = {"integer": 31, "long": 63}
_DIGITS_MAX: Final = 20  # characters; a signed 64-bit number has at most that many


class MalformedForm(Refused):
    """The parameters are not form encoding, or contradict each other."""

    code = "MalformedQueryString"


class Branch:
    """A name's own value and the names below it."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Branch] = {}

    def elements(self) -> list[tuple[str, Branch]]:
        """The branches that are numbered, by number: gaps are allowed, as AWS allows them."""
        numbered = [item for item in self.below.items() if item[0].isascii() and item[0].isdigit()]
        return sorted(numbered, key=lambda item: (len(item[0]), item[0]))


TreeReader = Callable[[Branch], Value]


class Names(Protocol):
    """What a protocol calls things in a form."""

    def of_member(self, name: str, member: Member, /) -> str:
        """A structure's member."""
        ...

    def of_element(self, shape: Shape, /) -> str | None:
        """The name between a list and its numbers; None where there is none."""
        ...


def parameters(request: Request, body: bytes) -> dict[str, str]:
    """The parameters of the query string and of a form body, the last of each name; raises `MalformedForm`."""
    found: dict[str, str] = {}
    try:
        for text in (request.query, body.decode()):
            if text:
                found.update(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX))
    except UnicodeDecodeError:
        raise MalformedForm("The query string is not UTF-8.") from None
    except ValueError:
        raise MalformedForm(f"The request has more than {_PARAMETERS_MAX} parameters.") from None
    return found


def tree_of(flat: Mapping[str, str]) -> Branch:
    """The dotted names as a tree."""
    root = Branch()
    for name, text in flat.items():
        if name.count(".") >= _DEPTH_MAX:
            raise MalformedForm(f"The parameter {name[:64]}… is nested too deeply.")
        branch = root
        for part in name.split("."):
            inner = branch.below.get(part)
            if inner is None:
                inner = branch.below[part] = Branch()
            branch = inner
        branch.text = text
    return root


class FormReaderMaker:
    """From a tree of parameters to typed members."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def structure(self, shape: Shape, fields: Mapping[str, TreeReader]) -> TreeReader:
        table = [(name, self._names.of_member(name, member)) for name, member in shape.members.items()]

        def read(branch: Branch) -> Value:
            out: dict[str, Value] = {}
            for name, wire in table:
                inner = branch.below.get(wire)
                if inner is None:
                    continue
                try:
                    out[name] = fields[name](inner)
                except Mismatch as mismatch:
                    raise mismatch.inside(wire) from None
            return out

        return read

    def sequence(self, shape: Shape, element: TreeReader) -> TreeReader:
        between = self._names.of_element(shape)

        def read(branch: Branch) -> Value:
            holder = branch if between is None else branch.below.get(between)
            if holder is None:
                return []  # `Names=` is how an empty list is written
            out: list[Value] = []
            for number, inner in holder.elements():
                try:
                    out.append(element(inner))
                except Mismatch as mismatch:
                    raise mismatch.inside(number) from None
            return out

        return read

    def mapping(self, shape: Shape, key: TreeReader, value: TreeReader) -> TreeReader:
        key_name = shape.members["key"].location_name or "key"
        value_name = shape.members["value"].location_name or "value"

        def read(branch: Branch) -> Value:
            holder = branch if shape.flattened else branch.below.get("entry", Branch())
            out: dict[str, Value] = {}
            for number, entry in holder.elements():
                key_branch, value_branch = entry.below.get(key_name), entry.below.get(value_name)
                if key_branch is None or value_branch is None:
                    raise Mismatch("an entry without key or value", "a map").inside(number)
                try:
                    out[str(key(key_branch))] = value(value_branch)
                except Mismatch as mismatch:
                    raise mismatch.inside(number) from None
            return out

        return read

    def scalar(self, shape: Shape) -> TreeReader:
        convert = _SCALARS[shape.kind]

        def read(branch: Branch) -> Value:
            if branch.text is None:
                raise Mismatch("a structure", convert.__doc__ or shape.kind)
            return convert(branch.text)

        return read


def _string(text: str) -> Value:
    """a string"""
    return text


def _boolean(text: str) -> Value:
    """a boolean"""
    known = _BOOLEANS.get(text.lower())
    if known is None:
        raise Mismatch(text, "a boolean")
    return known


def _integer(text: str) -> Value:
    """an integer"""
    return _whole(text, _INTEGER_BITS["integer"])


def _long(text: str) -> Value:
    """an integer"""
    return _whole(text, _INTEGER_BITS["long"])


def _whole(text: str, bits: int) -> int:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise Mismatch(text, "an integer")
    number = int(text)
    if not -(1 << bits) <= number < 1 << bits:
        raise Mismatch(text, "an integer")
    return number


def _float(text: str) -> Value:
    """a number"""
    try:
        return float(text)
    except ValueError:
        raise Mismatch(text, "a number") from None


def _timestamp(text: str) -> Value:
    """a date in ISO 8601"""
    seconds = from_text(text)
    if seconds is None:
        raise Mismatch(text, "a date in ISO 8601")
    return seconds


def _blob(text: str) -> Value:
    """base64"""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch(text, "base64") from None


_SCALARS: Final[Mapping[str, Callable[[str], Value]]] = {
    "string": _string,
    "character": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _long,
    "float": _float,
    "double": _float,
    "timestamp": _timestamp,
    "blob": _blob,
}
