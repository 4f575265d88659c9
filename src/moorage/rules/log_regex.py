"""The regular expressions of log filter patterns, matched in time linear in the text.

CloudWatch Logs takes a small language on purpose: letters, digits and a few symbols, `.`, `[...]`, `\\d \\s \\w` and
their opposites, `? * + {m,n}`, `|`, `^`, `$`, and no parentheses. Patterns come from callers and run over their
logs in our process, where a backtracking matcher could be made to run for years. Without parentheses an expression
is a row of characters, some of which may be left out or come again, and all places where a match could stand fit
into the bits of one integer: a step is a handful of operations on it, whatever the text.
(Navarro and Raffinot, "Flexible Pattern Matching in Strings", 4.2: extended Shift-And.)

Source: CloudWatch Logs User Guide, "Supported regular expressions (regex) syntax".
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import Final, NamedTuple

PLACES_MAX: Final = 1_000  # after {m,n} is written out; the pattern itself has at most 1,024 characters

# Expressions are in ASCII, so that all other characters are alike to them: "letters" are numbered 0 to 127 for
# ASCII, then any other character, then what stands before the first and behind the last one.
_OTHER, _START, _END = 128, 129, 130
_LETTERS: Final = 131
_ANY: Final = (1 << _START) - 1

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "_#=@/;,:- ")
_ESCAPABLE: Final = frozenset(string.punctuation + " ")
_COUNT: Final = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")


class RegexInvalid(ValueError):
    """The text is not in the language; `args[0]` says why."""


def _letters(symbols: Iterable[str]) -> int:
    """The set of letters as bits."""
    return sum(1 << ord(symbol) for symbol in set(symbols))


_CLASSES: Final = {
    "d": _letters(string.digits),
    "s": _letters(string.whitespace),
    "w": _letters(string.ascii_letters + string.digits + "_"),
}
_CLASSES_ALL: Final = _CLASSES | {name.upper(): _ANY & ~letters for name, letters in _CLASSES.items()}


class _Place(NamedTuple):
    """One character to match; `skip` where it may be left out, `again` where it may come once more."""

    letters: int
    skip: bool
    again: bool


class LogRegex:
    """A compiled expression. `search` says whether it occurs anywhere in a text."""

    def __init__(self, text: str) -> None:
        branches = [_Parser(branch).places() for branch in _branches(text)]
        if sum(map(len, branches)) > PLACES_MAX:
            raise RegexInvalid("the expression is too large")
        self._accepting = [0] * _LETTERS  # for each letter, the places that take it
        self._skip = self._again = self._final = 0
        start = bit = 0
        for places in branches:
            start |= 1 << bit
            for place in places:
                self._add(place, 1 << bit)
                bit += 1
            self._final |= 1 << bit  # one place behind the last
            bit += 1
        self._start = self._closed(start)

    def _add(self, place: _Place, bit: int) -> None:
        for letter in range(_LETTERS):
            if place.letters >> letter & 1:
                self._accepting[letter] |= bit
        self._skip |= bit if place.skip else 0
        self._again |= bit if place.again else 0

    def _closed(self, places: int) -> int:
        """The places, and those behind what may be left out: the sum carries through each run of such places."""
        skip = self._skip
        return places | (skip + (places & skip)) ^ skip

    def search(self, text: str) -> bool:
        accepting, again, final, start = self._accepting, self._again, self._final, self._start
        places = start
        for letter in (_START, *(ord(symbol) if symbol < "\x80" else _OTHER for symbol in text), _END):
            if places & final:
                return True
            moved = places & accepting[letter]
            places = self._closed(moved << 1 | moved & again) | start if moved else start
        return places & final != 0


def _branches(text: str) -> list[str]:
    """The alternatives between bars; a bar in brackets or behind a backslash is none."""
    branches, inside, start, at = [], False, 0, 0
    while at < len(text):
        symbol = text[at]
        if symbol == "\\":
            at += 1
        elif symbol in "[]":
            inside = symbol == "["
        elif symbol == "|" and not inside:
            branches.append(text[start:at])
            start = at + 1
        at += 1
    return [*branches, text[start:]]


class _Parser:
    """Reads one alternative from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def places(self) -> list[_Place]:
        found: list[_Place] = []
        while self._at < len(self._text):
            found += self._repeated(self._atom())
            if len(found) > PLACES_MAX:
                raise RegexInvalid("the expression is too large")
        return found

    def _next(self) -> str:
        symbol = self._text[self._at : self._at + 1]
        if not symbol:
            raise RegexInvalid("the expression ends too soon")
        self._at += 1
        return symbol

    def _atom(self) -> int:
        symbol = self._next()
        if symbol == "\\":
            return self._escape()
        if symbol == "[":
            return self._bracket()
        if symbol == ".":
            return _ANY
        if symbol in "^$":
            return 1 << (_START if symbol == "^" else _END)
        if symbol not in _PLAIN:
            raise RegexInvalid(f"{symbol!r} is not supported in a regular expression")
        return _letters(symbol)

    def _escape(self) -> int:
        symbol = self._next()
        if symbol in _CLASSES_ALL:
            return _CLASSES_ALL[symbol]
        if symbol not in _ESCAPABLE:
            raise RegexInvalid(f"'\\{symbol}' is not supported in a regular expression")
        return _letters(symbol)

    def _bracket(self) -> int:
        letters = 0
        negated = self._text.startswith("^", self._at)
        self._at += negated
        while (symbol := self._next()) != "]" or not letters:
            if symbol == "\\":
                letters |= self._escape()
            elif symbol >= "\x80":
                raise RegexInvalid(f"{symbol!r} is not supported in a regular expression")
            elif self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                letters |= _range(symbol, self._next())
            else:
                letters |= _letters(symbol)
        return _ANY & ~letters if negated else letters

    def _repeated(self, letters: int) -> list[_Place]:
        symbol = self._text[self._at : self._at + 1]
        if symbol == "{":
            return self._counted(letters)
        if symbol and symbol in "?*+":
            self._at += 1
            return [_Place(letters, skip=symbol in "?*", again=symbol in "*+")]
        return [_Place(letters, skip=False, again=False)]

    def _counted(self, letters: int) -> list[_Place]:
        match = _COUNT.match(self._text, self._at)
        if match is None:
            raise RegexInvalid("a repetition is {m}, {m,} or {m,n}")
        self._at = match.end()
        least = int(match[1])
        most = int(match[3]) if match[3] else (None if match[2] else least)
        if max(least, most or 0) > PLACES_MAX or (most is not None and most < least):
            raise RegexInvalid(f"{match[0]} is not a possible repetition")
        places = [_Place(letters, skip=False, again=False)] * least
        if most is None:
            return [*places, _Place(letters, skip=True, again=True)]
        return places + [_Place(letters, skip=True, again=False)] * (most - least)


def _range(first: str, last: str) -> int:
    if not first <= last < "\x80":
        raise RegexInvalid(f"{first}-{last} is not a range of characters")
    return _letters(map(chr, range(ord(first), ord(last) + 1)))
