"""Filter patterns over JSON events: `{ $.a.b[0] = "x*" && ($.n >= 5 || $.z NOT EXISTS) }`.

A comparison is about a value that is there: where the selector finds none, `=`, `!=` and the orders are all false.
`[*]` and `.*` select every element or member, and one that passes is enough.
Source: CloudWatch Logs User Guide, "Using filter patterns to match terms in JSON log events".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from moorage.rules.log_pattern_values import OPERATORS, PatternInvalid, Regexes, Test, comparison, unquoted

DEPTH_MAX: Final = 50  # brackets within brackets; no person writes so many, and each costs a call
WILDCARDS_MAX: Final = 3  # in one selector; AWS's own number, and each multiplies the values looked at

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Step = str | int | None  # a member, an element, or all of them
Condition = Callable[[Json], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<selector>\$(?:\.\[?["'][^"']*["']\]?|\.[\w\-:@/]+|\.\*|\[(?:\d+|\*|"[^"]*"|'[^']*')\])*)
    |(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<regex>%[^%]+%)|(?P<operator>&&|\|\||!=|<=|>=|=|<|>|\(|\))
    |(?P<word>[^\s()="<>!&|%{}]+))""",
    re.VERBOSE | re.DOTALL,
)
_STEP = re.compile(r"""\.?\[?["']([^"']*)["']\]?|\.([\w\-:@/]+)|\[(\d+)\]|(\.\*|\[\*\])""")


@dataclass(frozen=True, slots=True)
class JsonPattern:
    condition: Condition

    def matches(self, message: str) -> bool:
        """False for a message that is no JSON object."""
        if not message.lstrip().startswith("{"):
            return False
        try:
            value: Json = msgspec.json.decode(message)
        except (msgspec.DecodeError, RecursionError):
            return False
        return self.condition(value)


def parse_json(text: str) -> JsonPattern:
    """Reads a pattern that begins with a brace."""
    if not text.endswith("}"):
        raise PatternInvalid("a JSON pattern ends with }")
    parser = _Parser(_tokens(text[1:-1]))
    condition = parser.either(0)
    if parser.peek() is not None:
        raise PatternInvalid(f"{parser.peek()!r} is out of place")
    return JsonPattern(condition)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise PatternInvalid(f"{text[at : at + 20]!r} cannot be understood")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _Parser:
    """Recursive descent: `either` is a row of `both` between ||, `both` a row of `one` between &&."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._regexes = Regexes()

    def peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise PatternInvalid("it ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self.peek() == "||":
            self._next()
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda value: any(part(value) for part in parts)

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self.peek() == "&&":
            self._next()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)

    def _one(self, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            raise PatternInvalid(f"its brackets are deeper than {DEPTH_MAX}")
        kind, text = self._next()
        if text == "(" and kind == "operator":
            inner = self.either(depth + 1)
            if self._next() != ("operator", ")"):
                raise PatternInvalid("a bracket is not closed")
            return inner
        if kind != "selector":
            raise PatternInvalid(f"a selector such as $.name was expected, not {text!r}")
        return self._compared(_steps(text))

    def _compared(self, steps: Sequence[Step]) -> Condition:
        kind, text = self._next()
        word = text.upper()
        if kind == "word" and word == "IS":
            return _is(steps, self._next()[1].upper())
        if kind == "word" and word in ("NOT", "EXISTS"):
            if word == "NOT" and self._next()[1].upper() != "EXISTS":
                raise PatternInvalid("NOT stands before EXISTS only")
            wanted = word == "EXISTS"
            return lambda value: any(True for _ in _select(value, steps)) == wanted
        if kind != "operator" or text not in OPERATORS:
            raise PatternInvalid(f"an operator was expected, not {text!r}")
        return _passes(steps, self._test(text))

    def _test(self, operator: str) -> Test:
        kind, text = self._next()
        if kind == "regex":
            if operator not in ("=", "!="):
                raise PatternInvalid(f"a regular expression cannot be compared with {operator}")
            search = self._regexes.compile(text[1:-1]).search
            wanted = operator == "="
            return lambda value: isinstance(value, str) and search(value) == wanted
        if kind not in ("quoted", "word"):
            raise PatternInvalid(f"a value was expected, not {text!r}")
        return comparison(operator, text[1:-1] if kind == "quoted" else text, quoted=kind == "quoted")


def _is(steps: Sequence[Step], word: str) -> Condition:
    named: dict[str, bool | None] = {"NULL": None, "TRUE": True, "FALSE": False}
    if word not in named:
        raise PatternInvalid("IS stands before NULL, TRUE or FALSE only")
    wanted = named[word]
    return lambda value: any(found is wanted for found in _select(value, steps))


def _passes(steps: Sequence[Step], test: Test) -> Condition:
    def condition(value: Json) -> bool:
        return any(test(found) for found in _select(value, steps) if not isinstance(found, dict | list))

    return condition


def _steps(selector: str) -> list[Step]:
    steps: list[Step] = []
    for quoted, name, index, everything in _STEP.findall(selector[1:]):
        if everything:
            steps.append(None)
        else:
            steps.append(int(index) if index else unquoted(quoted) or name)
    if steps.count(None) > WILDCARDS_MAX:
        raise PatternInvalid(f"a selector has more than {WILDCARDS_MAX} wildcards")
    return steps


def _select(value: Json, steps: Sequence[Step]) -> Iterator[Json]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        if step is None:
            for inner in value.values():
                yield from _select(inner, rest)
        elif isinstance(step, str) and step in value:
            yield from _select(value[step], rest)
    elif isinstance(value, list):
        if step is None:
            for inner in value:
                yield from _select(inner, rest)
        elif isinstance(step, int) and step < len(value):
            yield from _select(value[step], rest)
