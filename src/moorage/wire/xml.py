"""Answers of query and ec2: builtins to XML, as the model shapes it.

Elements are written in the order in which the output has them. A member that the model does not know is our own
mistake and stops the answer: a client would never see it, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from moorage.wire.protocol import Output
from moorage.wire.shapes import Compiler, Member, Shape
from moorage.wire.timestamps import iso8601

__all__ = ["ElementNames", "XmlWriterMaker", "escape", "write_members"]

Writer = Callable[[list[str], str, object], None]
"""Appends `value` as one element named `tag` (or, for a flattened list, as one for each of its elements)."""

# XML 1.0 has no way to write these characters, not even escaped.
_UNWRITABLE: Final = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"
)
# A raw carriage return would be read back as a line feed.
_ESCAPES: Final = str.maketrans({**_UNWRITABLE, 38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 13: "&#xD;"})


class ElementNames(Protocol):
    """What a protocol calls the elements of an answer."""

    def of_member(self, name: str, member: Member, /) -> str:
        """A structure's member."""
        ...

    def of_element(self, shape: Shape, /) -> str:
        """An element of a list that is not flattened."""
        ...


def escape(text: str) -> str:
    """Text as it may stand between two tags."""
    return text if text.isalnum() else text.translate(_ESCAPES)


def write_members(writers: Compiler[Writer], shape: Shape, output: Output | None) -> str:
    """The members of an output, without an element around them."""
    parts: list[str] = []
    writers.of(shape)(parts, "", msgspec.to_builtins(output) if output is not None else {})
    return "".join(parts[1:-1])


class XmlWriterMaker:
    """From builtins to elements."""

    def __init__(self, names: ElementNames) -> None:
        self._names = names

    def structure(self, shape: Shape, fields: Mapping[str, Writer]) -> Writer:
        tags = {name: self._names.of_member(name, member) for name, member in shape.members.items()}

        def write(parts: list[str], tag: str, value: object) -> None:
            assert isinstance(value, dict), f"{shape.name} is a structure, not {type(value).__name__}"
            parts.append(f"<{tag}>")
            for name, item in value.items():
                assert name in tags, f"{name} is no member of {shape.name}"
                if item is not None:
                    fields[name](parts, tags[name], item)
            parts.append(f"</{tag}>")

        return write

    def sequence(self, shape: Shape, element: Writer) -> Writer:
        element_tag = self._names.of_element(shape)

        def write_flat(parts: list[str], tag: str, value: object) -> None:
            assert isinstance(value, list | tuple), f"{shape.name} is a list, not {type(value).__name__}"
            for item in value:
                element(parts, tag, item)

        def write(parts: list[str], tag: str, value: object) -> None:
            parts.append(f"<{tag}>")
            write_flat(parts, element_tag, value)
            parts.append(f"</{tag}>")

        return write_flat if shape.flattened else write

    def mapping(self, shape: Shape, key: Writer, value: Writer) -> Writer:
        key_tag = shape.members["key"].location_name or "key"
        value_tag = shape.members["value"].location_name or "value"

        def write_entries(parts: list[str], tag: str, whole: object) -> None:
            assert isinstance(whole, dict), f"{shape.name} is a map, not {type(whole).__name__}"
            for name, item in whole.items():
                parts.append(f"<{tag}>")
                key(parts, key_tag, name)
                value(parts, value_tag, item)
                parts.append(f"</{tag}>")

        def write(parts: list[str], tag: str, whole: object) -> None:
            parts.append(f"<{tag}>")
            write_entries(parts, "entry", whole)
            parts.append(f"</{tag}>")

        return write_entries if shape.flattened else write

    def scalar(self, shape: Shape) -> Writer:
        text_of = _TEXTS.get(shape.kind, str)

        def write(parts: list[str], tag: str, value: object) -> None:
            parts.append(f"<{tag}>{escape(text_of(value))}</{tag}>")

        return write


def _boolean(value: object) -> str:
    assert isinstance(value, bool)
    return "true" if value else "false"


def _timestamp(value: object) -> str:
    return iso8601(value) if isinstance(value, (int, float)) else str(value)


_TEXTS: Final[Mapping[str, Callable[[object], str]]] = {"boolean": _boolean, "timestamp": _timestamp}
