"""The model's constraints on members, compiled: required, length, range, pattern, enumeration.

Only finds violations; which of them a service minds, and what it says, is in `validate.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from moorage.wire.shapes import Shape, Value

Rule = Literal["required", "length", "range", "pattern", "enum"]

# Java's Unicode classes, which models use in tag values, in what Python's `re` has; a shade looser, never stricter.
_UNICODE_CLASSES: Final = {
    "L": r"\w",
    "N": r"\w",
    "Z": r"\s",
    "M": "\u0300-\u036f",
    "P": r"!-/:-@\[-`{-~",
    "S": r"$+<=>^`|~",
}
_JAVA_WRITES: Final = {
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",  # beyond 16 bits, as surrogates
    r"\p{ASCII}": r"[\x00-\x7F]",
    r"\p{Print}": r"[ -~]",
}
_UNICODE_CLASS: Final = re.compile(r"\\p\{(?:Is)?([A-Z])[a-z]?\}|\\p([A-Z])")


class Place(NamedTuple):
    """Where a value stands; a chain instead of a text, because nearly no request has a violation to tell."""

    outer: Place | None
    name: str


class Violation(NamedTuple):
    """A constraint that a value does not keep."""

    rule: Rule
    place: Place
    constraint: str  # AWS's own sentence, from "Member must …"
    value: Value | None  # None where it is missing
    shape: Shape


Check = Callable[[Value, "Place | None", list[Violation]], None]


def path_of(place: Place | None) -> list[str]:
    """The names from the outermost in; an element of a list is its number and then "member"."""
    names: list[str] = []
    while place is not None:
        names.append(place.name)
        place = place.outer
    return names[::-1]


class CheckMaker:
    """From typed members to violations."""

    def structure(self, shape: Shape, fields: Mapping[str, Check]) -> Check:
        def check(value: Value, place: Place | None, found: list[Violation]) -> None:
            assert isinstance(value, dict)  # the codec has typed it
            for name in shape.required:
                if name not in value:
                    missing = Place(place, name)
                    member = shape.members[name].shape
                    found.append(Violation("required", missing, "Member must not be null", None, member))
            for name, item in value.items():
                fields[name](item, Place(place, name), found)

        return check

    def sequence(self, shape: Shape, element: Check) -> Check:
        own = _length_check(shape)

        def check(value: Value, place: Place | None, found: list[Violation]) -> None:
            assert isinstance(value, list)
            own(value, place, found)
            for number, item in enumerate(value, 1):
                element(item, Place(Place(place, str(number)), "member"), found)

        return check

    def mapping(self, shape: Shape, key: Check, value: Check) -> Check:
        own = _length_check(shape)

        def check(whole: Value, place: Place | None, found: list[Violation]) -> None:
            assert isinstance(whole, dict)
            own(whole, place, found)
            for name, item in whole.items():
                inner = Place(Place(place, name), "member")
                key(name, inner, found)
                value(item, inner, found)

        return check

    def scalar(self, shape: Shape) -> Check:
        if shape.document or shape.kind in {"boolean", "timestamp"}:
            return _unconstrained
        if shape.kind in {"integer", "long", "float", "double"}:
            return _range_check(shape)
        if shape.kind == "blob":
            return _length_check(shape)
        return _text_check(shape)


def _unconstrained(_value: Value, _place: Place | None, _found: list[Violation]) -> None:
    pass


def _length_check(shape: Shape) -> Check:
    low, high = shape.minimum, shape.maximum
    if low is None and high is None:
        return _unconstrained

    def check(value: Value, place: Place | None, found: list[Violation]) -> None:
        assert isinstance(value, (str, bytes, list, dict))
        assert place is not None  # only the whole request has no place, and it is a structure
        if low is not None and len(value) < low:
            constraint = f"Member must have length greater than or equal to {low:.0f}"
            found.append(Violation("length", place, constraint, value, shape))
        if high is not None and len(value) > high:
            constraint = f"Member must have length less than or equal to {high:.0f}"
            found.append(Violation("length", place, constraint, value, shape))

    return check


def _range_check(shape: Shape) -> Check:
    low, high = shape.minimum, shape.maximum
    if low is None and high is None:
        return _unconstrained

    def check(value: Value, place: Place | None, found: list[Violation]) -> None:
        assert isinstance(value, (int, float))
        assert place is not None
        if low is not None and value < low:
            constraint = f"Member must have value greater than or equal to {low:.15g}"
            found.append(Violation("range", place, constraint, value, shape))
        if high is not None and value > high:
            constraint = f"Member must have value less than or equal to {high:.15g}"
            found.append(Violation("range", place, constraint, value, shape))

    return check


# Shapes whose pattern AWS itself does not hold clients to. Logs takes a group's ARN with and without its `:*`, which
# the pattern has no place for; Terraform sends both.
_LOOSER_THAN_MODELLED: Final = frozenset({"AmazonResourceName"})


def _text_check(shape: Shape) -> Check:
    length = _length_check(shape)
    pattern = compiled_pattern(shape.pattern) if shape.pattern and shape.name not in _LOOSER_THAN_MODELLED else None
    if pattern is None and not shape.enum:
        return length
    allowed = frozenset(shape.enum)

    def check(value: Value, place: Place | None, found: list[Violation]) -> None:
        assert isinstance(value, str)
        assert place is not None
        before = len(found)
        length(value, place, found)
        # A text of the wrong length is not matched: a pattern's cost must stay bounded by the length.
        if pattern is not None and len(found) == before and not pattern.fullmatch(value):
            constraint = f"Member must satisfy regular expression pattern: {shape.pattern}"
            found.append(Violation("pattern", place, constraint, value, shape))
        if allowed and value not in allowed:
            constraint = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            found.append(Violation("enum", place, constraint, value, shape))

    return check


def compiled_pattern(pattern: str) -> re.Pattern[str] | None:
    """The pattern for Python, or None where it cannot be said in Python: AWS's own service would still check it."""
    text = pattern
    for java, python in _JAVA_WRITES.items():
        text = text.replace(java, python)
    text = _UNICODE_CLASS.sub(lambda match: _UNICODE_CLASSES.get(match[1] or match[2], match[0]), text)
    try:
        return re.compile(text)
    except re.error:
        return None
