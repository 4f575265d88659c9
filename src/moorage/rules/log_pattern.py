"""Filter patterns of CloudWatch Logs: which log events a caller wants to see.

Three languages share one parameter. `ERROR -timeout "out of memory"` looks for terms; `{ $.level = "error" }` looks
into JSON; `[ip, user, status=4*]` looks at fields between spaces. An empty pattern wants everything.

Terms: every plain term must occur, no `-term` may. If there are only `?term`s, one of them is enough; beside other
terms the `?term`s count for nothing. Terms with other characters than letters, digits and `_` stand in quotes.
Source: CloudWatch Logs User Guide, "Filter pattern syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from moorage.rules.log_pattern_fields import parse_fields
from moorage.rules.log_pattern_json import parse_json
from moorage.rules.log_pattern_values import PatternInvalid, Regexes, unquoted

__all__ = ["LogPattern", "PatternInvalid", "parse_pattern"]

PATTERN_MAX_CHARS: Final = 1024  # AWS's own number
_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]*)%|([^\s"%]+))(?=\s|$)', re.DOTALL)
_PLAIN = re.compile(r"\w+")


class LogPattern(Protocol):
    """A pattern, ready for use."""

    def matches(self, message: str) -> bool: ...


def parse_pattern(text: str) -> LogPattern:
    """The pattern that a text means; raises `PatternInvalid` with the reason."""
    if len(text) > PATTERN_MAX_CHARS:
        raise PatternInvalid(f"it is longer than {PATTERN_MAX_CHARS} characters")
    text = text.strip()
    if text.startswith("{"):
        return parse_json(text)
    if text.startswith("["):
        return parse_fields(text)
    return _parse_terms(text)


class _Term(Protocol):
    def __call__(self, message: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Terms:
    wanted: tuple[_Term, ...]
    optional: tuple[_Term, ...]
    unwanted: tuple[_Term, ...]

    def matches(self, message: str) -> bool:
        if any(term(message) for term in self.unwanted):
            return False
        if self.wanted or self.unwanted:
            return all(term(message) for term in self.wanted)
        return not self.optional or any(term(message) for term in self.optional)


def _parse_terms(text: str) -> _Terms:
    regexes = Regexes()
    kinds: dict[str, list[_Term]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise PatternInvalid(f"a term is not closed at {text[at : at + 20]!r}")
        sign, quoted, regex, plain = match.groups()
        if regex is not None:
            kinds[sign].append(regexes.compile(regex).search)
        else:
            kinds[sign].append(_contains(_plain(plain) if quoted is None else unquoted(quoted)))
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return _Terms(tuple(kinds[""]), tuple(kinds["?"]), tuple(kinds["-"]))


def _plain(term: str) -> str:
    if not _PLAIN.fullmatch(term):
        raise PatternInvalid(f'Invalid character(s) in term "{term}"; a term with other characters stands in quotes')
    return term


def _contains(term: str) -> _Term:
    return lambda message: term in message
