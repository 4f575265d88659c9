"""The filters of Describe calls, and the rest that all Describe calls share: identifiers, pages, dry runs.

Filters are ANDed, the values of one filter ORed; in a value `*` stands for any characters, `?` for one, and a
backslash takes their meaning away. Each noun says in a table which filters it has and where their values come from.
Source: EC2 API reference, type Filter; User Guide, "List and filter your resources".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from moorage.api.call import page
from moorage.api.ec2.errors import DryRunOperation, FilterLimitExceeded, InvalidParameterValue
from moorage.base.errors import Refused
from moorage.model.tags import Tags

FILTER_VALUES_MAX: Final = 200  # in one call; AWS's own number
PAGE_MIN: Final = 5
PAGE_MAX: Final = 1000

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Filter(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    name: str = ""
    values: tuple[str, ...] = ()


class Tag(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A tag as EC2 writes it."""

    key: str
    value: str


class Values(Protocol[R_contra]):
    """The values that a record has under one filter."""

    def __call__(self, record: R_contra, /) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Noun(Generic[R]):
    """What a Describe call has to know of its records."""

    id: Callable[[R], str]
    fields: Mapping[str, Values[R]]
    not_found: Callable[[Sequence[str]], Refused]
    tags: Callable[[R], Tags] | None = None  # None: a noun that cannot be tagged


def choose(noun: Noun[R], records: Iterable[R], ids: Sequence[str], filters: Sequence[Filter]) -> list[R]:
    """The records that the identifiers (none: all) and every filter let through, in the order of their ids.

    Refused for an identifier that names nothing and for a filter that the noun does not have.
    """
    tests = _tests(noun, filters)
    by_id = {noun.id(record): record for record in records}
    if ids:
        missing = [one for one in dict.fromkeys(ids) if one not in by_id]
        if missing:
            raise noun.not_found(missing)
    names = sorted(set(ids) if ids else by_id)
    return [record for record in map(by_id.__getitem__, names) if all(test(record) for test in tests)]


def one_page(noun: Noun[R], records: Sequence[R], token: str | None, size: int | None) -> tuple[list[R], str | None]:
    """The page of chosen records that a token and MaxResults ask for, and the next token."""
    if size is not None and size < PAGE_MIN:
        raise InvalidParameterValue(
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than {PAGE_MIN}."
        )
    by_id = {noun.id(record): record for record in records}
    try:
        keys, following = page(list(by_id), token, min(size or PAGE_MAX, PAGE_MAX))
    except ValueError as error:
        raise InvalidParameterValue(f"Invalid value '{token}' for nextToken") from error
    return [by_id[key] for key in keys], following


def refuse_dry_run(dry_run: bool | None) -> None:
    """A dry run ends here: everything was checked, nothing is answered."""
    if dry_run:
        raise DryRunOperation


def boolean(value: bool) -> tuple[str]:
    """A boolean as filters spell it."""
    return ("true",) if value else ("false",)


def tags_out(tags: Tags) -> tuple[Tag, ...]:
    return tuple(Tag(key=tag.key, value=tag.value) for tag in tags)


def _tests(noun: Noun[R], filters: Sequence[Filter]) -> list[Callable[[R], bool]]:
    if sum(len(one.values) for one in filters) > FILTER_VALUES_MAX:
        raise FilterLimitExceeded(
            f"The maximum number of filter values specified on a single call is {FILTER_VALUES_MAX}"
        )
    return [_test(_values(noun, one.name), one) for one in filters]


def _values(noun: Noun[R], name: str) -> Values[R]:
    values = noun.fields.get(name)
    if values is not None:
        return values
    tags = noun.tags
    if tags is not None and name == "tag-key":
        return lambda record: [tag.key for tag in tags(record)]
    if tags is not None and name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda record: [tag.value for tag in tags(record) if tag.key == key]
    raise InvalidParameterValue(f"The filter '{name}' is invalid")


def _test(values: Values[R], wanted: Filter) -> Callable[[R], bool]:
    if not wanted.values:
        raise InvalidParameterValue(f"The filter '{wanted.name}' has no values")
    plain = {value for value in wanted.values if not _is_wild(value)}
    wild = [_pattern(value) for value in wanted.values if _is_wild(value)]

    def test(record: R) -> bool:
        return any(value in plain or any(one.fullmatch(value) for one in wild) for value in values(record))

    return test


def _is_wild(value: str) -> bool:
    return any(symbol in value for symbol in "*?\\")


def _pattern(value: str) -> re.Pattern[str]:
    """Runs of `*` become one, so that matching stays close to linear in the text."""
    parts: list[str] = []
    symbols = iter(value)
    for symbol in symbols:
        if symbol == "\\":
            parts.append(re.escape(next(symbols, "\\")))
        elif symbol == "*":
            if parts[-1:] != [".*"]:
                parts.append(".*")
        else:
            parts.append("." if symbol == "?" else re.escape(symbol))
    return re.compile("".join(parts), re.DOTALL)
