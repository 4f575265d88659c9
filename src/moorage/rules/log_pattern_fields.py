"""Filter patterns over events whose fields stand between spaces: `[ip, user, ..., status=4*, size>1000]`.

Text in quotes or in square brackets is one field. Fields are counted from the left up to `...`, which stands for any
number of them, and from the right behind it; without `...` an event must have as many fields as the pattern.
Source: CloudWatch Logs User Guide, "Using filter patterns to match terms in space-delimited log events".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moorage.rules.log_pattern_values import PatternInvalid, Regexes, Test, comparison

_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|\[([^\]]*)\](?=\s|$)|(\S+)', re.DOTALL)
_NAME = re.compile(r"\w+")
_CONDITION = re.compile(r"""(\w+)\s*(!=|<=|>=|=|<|>)\s*(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|([^\s"%&|=<>!]+))""")

Condition = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class FieldsPattern:
    head: tuple[Condition, ...]
    tail: tuple[Condition, ...] | None  # None: there is no `...`

    def matches(self, message: str) -> bool:
        fields = [quoted or bracketed or plain for quoted, bracketed, plain in _FIELD.findall(message)]
        tail = self.tail or ()
        spare = len(fields) - len(self.head) - len(tail)
        if spare < 0 or (spare and self.tail is None):
            return False
        last = fields[len(fields) - len(tail) :]
        return all(test(field) for test, field in zip(self.head, fields, strict=False)) and all(
            test(field) for test, field in zip(tail, last, strict=True)
        )


def parse_fields(text: str) -> FieldsPattern:
    """Reads a pattern that begins with a square bracket."""
    if not text.endswith("]") or len(text) < 2:
        raise PatternInvalid("a pattern of fields ends with ]")
    parts = [part.strip() for part in _split(text[1:-1], ",")]
    regexes = Regexes()
    if parts.count("...") > 1:
        raise PatternInvalid("... may stand once only")
    if "..." not in parts:
        return FieldsPattern(tuple(_field(part, regexes) for part in parts), None)
    middle = parts.index("...")
    head = tuple(_field(part, regexes) for part in parts[:middle])
    return FieldsPattern(head, tuple(_field(part, regexes) for part in parts[middle + 1 :]))


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside quotes and percent signs."""
    parts, start, inside, at = [], 0, "", 0
    while at < len(text):
        symbol = text[at]
        if inside:
            if symbol == "\\" and inside == '"':
                at += 1
            elif symbol == inside:
                inside = ""
        elif symbol in '"%':
            inside = symbol
        elif text.startswith(separator, at):
            parts.append(text[start:at])
            at += len(separator) - 1
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _field(text: str, regexes: Regexes) -> Condition:
    """A name alone takes any field; `name = value` tests it, also in rows of && and ||, && binding tighter."""
    if _NAME.fullmatch(text):
        return lambda _: True
    if not text:
        return lambda _: True
    rows = [[_one(part.strip(), regexes) for part in _split(row, "&&")] for row in _split(text, "||")]
    names = {name for row in rows for name, _ in row}
    if len(names) > 1:
        raise PatternInvalid(f"one field goes by two names: {', '.join(sorted(names))}")
    return _any_row([[test for _, test in row] for row in rows])


def _any_row(rows: Sequence[Sequence[Test]]) -> Condition:
    return lambda field: any(all(test(field) for test in row) for row in rows)


def _one(text: str, regexes: Regexes) -> tuple[str, Test]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise PatternInvalid(f"{text!r} is neither a name nor a comparison")
    name, operator, quoted, regex, plain = match.groups()
    if regex is None:
        literal = plain if quoted is None else quoted
        return name, comparison(operator, literal, quoted=quoted is not None)
    if operator not in ("=", "!="):
        raise PatternInvalid(f"a regular expression cannot be compared with {operator}")
    search, wanted = regexes.compile(regex).search, operator == "="
    return name, lambda value: isinstance(value, str) and search(value) == wanted
