"""What the three languages of filter patterns share: quoting, wildcards, numbers, comparisons."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from moorage.rules.log_regex import LogRegex, RegexInvalid

REGEXES_MAX: Final = 2  # in one pattern; AWS's own number
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
OPERATORS: Final = ("!=", "<=", ">=", "=", "<", ">")

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

Scalar = str | int | float | bool | None
Test = Callable[[Scalar], bool]


class PatternInvalid(ValueError):
    """A filter pattern that cannot be understood; `args[0]` says why."""


class Regexes:
    """Compiles the expressions of one pattern and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def compile(self, text: str) -> LogRegex:
        self._count += 1
        if self._count > REGEXES_MAX:
            raise PatternInvalid(f"it holds more than {REGEXES_MAX} regular expressions")
        if not text:
            raise PatternInvalid("a regular expression is empty")
        try:
            return LogRegex(text)
        except RegexInvalid as error:
            raise PatternInvalid(str(error)) from error


def unquoted(text: str) -> str:
    """The inside of a quoted string; a backslash stands before a quote or another backslash."""
    return _ESCAPE.sub(r"\1", text)


def comparison(operator: str, literal: str, *, quoted: bool) -> Test:
    """The test of one value against a literal. Raises `PatternInvalid` for an order that is not of numbers."""
    if operator in ("=", "!="):
        equal = _equality(literal, quoted=quoted)
        return equal if operator == "=" else lambda value: not equal(value)
    if quoted or not NUMBER.fullmatch(literal):
        raise PatternInvalid(f"{operator} compares numbers, and {literal!r} is none")
    return _ordering(operator, float(literal))


def _equality(literal: str, *, quoted: bool) -> Test:
    if not quoted and NUMBER.fullmatch(literal):
        wanted = float(literal)
        return lambda value: number(value) == wanted
    matches = wildcard(unquoted(literal) if quoted else literal)
    return lambda value: value is not None and matches(text_of(value))


def _ordering(operator: str, bound: float) -> Test:
    def test(value: Scalar) -> bool:
        found = number(value)
        if found is None:
            return False
        match operator:
            case "<":
                return found < bound
            case "<=":
                return found <= bound
            case ">":
                return found > bound
        return found >= bound

    return test


def number(value: Scalar) -> float | None:
    """The number that a value is, or spells."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value) else None
    try:
        return float(value)
    except OverflowError:
        return None


def text_of(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def wildcard(pattern: str) -> Callable[[str], bool]:
    """A test in which `*` stands for any characters, linear in the text however many stars there are."""
    first, *others = pattern.split("*")
    if not others:
        return lambda text: text == pattern
    *middle, last = others

    def test(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return test
