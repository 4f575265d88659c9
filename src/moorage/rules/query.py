"""The cluster query language: `attribute:ecs.instance-type =~ t3.* and not task:group == service:web`.

memberOf constraints and the filter of ListContainerInstances are written in it. An expression is compiled once and
then asked of each node.
Source: Developer Guide, "Create expressions to define container instances for Amazon ECS tasks".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from moorage.base.errors import Refused
from moorage.model.node import Node
from moorage.rules.log_regex import LogRegex, RegexInvalid

EXPRESSION_MAX_CHARS: Final = 2000  # AWS's own number
# Brackets may stand in brackets this deep; more is no question that somebody asks, and each costs a stack frame.
DEPTH_MAX: Final = 50

GroupsOn = Callable[[Node], Collection[str]]
"""The groups of the tasks that are on a node."""


@dataclass(frozen=True)
class Asked:
    """What an expression is asked of: a node, and how to learn which groups have tasks there."""

    node: Node
    groups_on: GroupsOn


Predicate = Callable[[Asked], bool]
_Values = Callable[[Asked], "list[str]"]
"""What a subject has: nothing, one value, or, for task:group, several."""


class InvalidExpression(Refused):
    code = "InvalidParameterException"


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<bracket>[()\[\],])
      | (?P<sign>==|!=|>=|<=|=~|!~|&&|\|\||>|<|!)
      | "(?P<double>[^"]*)"
      | '(?P<single>[^']*)'
      | (?P<word>[^\s()\[\],"'!=<>&|][^\s()\[\],"'!=<>&|]*)
    )""",
    re.VERBOSE,
)
# The argument of a pattern is taken as it stands: a regular expression has brackets of its own.
_PATTERN_ARGUMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|((?:\[[^\]]*\]|[^\s()\[\]])+))""")

_WORDS: Final = {
    "equals": "==",
    "not_equals": "!=",
    "greater_than": ">",
    "greater_than_equal": ">=",
    "less_than": "<",
    "less_than_equal": "<=",
    "not_exists": "!exists",
    "not_in": "!in",
    "matches": "=~",
    "not_matches": "!~",
}
_Rank = tuple[int, ...]
_ORDERED: Final[dict[str, Callable[[_Rank, _Rank], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def compiled(text: str) -> Predicate:
    """The question that `text` asks; raises `InvalidExpression`."""
    if not text or len(text) > EXPRESSION_MAX_CHARS:
        raise InvalidExpression(f"An expression must have 1 to {EXPRESSION_MAX_CHARS} characters.")
    parser = _Parser(text)
    question = parser.either(0)
    if parser.peek() is not None:
        raise parser.wrong(f"'{parser.peek()}' was not expected")
    return question


class _Parser:
    """Precedence: not before and before or."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def wrong(self, why: str) -> InvalidExpression:
        return InvalidExpression(f"The expression is not valid at character {self._at}: {why}.")

    def peek(self) -> str | None:
        """The next token; None at the end."""
        at = self._at
        token = self._next()
        self._at = at
        return token

    def _next(self) -> str | None:
        if not self._text[self._at :].strip():
            return None
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self.wrong("this cannot be read")
        self._at = found.end()
        return next(group for group in found.groups() if group is not None)

    def _take(self, *tokens: str) -> bool:
        """Whether the next token is one of `tokens`, which is then passed."""
        if self.peek() not in tokens:
            return False
        self._next()
        return True

    def either(self, depth: int) -> Predicate:
        parts = [self._both(depth)]
        while self._take("or", "||"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda asked: any(part(asked) for part in parts)

    def _both(self, depth: int) -> Predicate:
        parts = [self._negated(depth)]
        while self._take("and", "&&"):
            parts.append(self._negated(depth))
        return parts[0] if len(parts) == 1 else lambda asked: all(part(asked) for part in parts)

    def _negated(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            raise self.wrong(f"more than {DEPTH_MAX} levels")
        if self._take("not", "!"):
            inner = self._negated(depth + 1)
            return lambda asked: not inner(asked)
        if self._take("("):
            inner = self.either(depth + 1)
            if not self._take(")"):
                raise self.wrong("')' was expected")
            return inner
        return self._term()

    def _term(self) -> Predicate:
        name = self._next()
        if name is None:
            raise self.wrong("it ends too early")
        subject = _subject(name)
        if subject is None:
            raise self.wrong(f"'{name}' is no subject")
        sign = self._operator()
        if sign in ("exists", "!exists"):
            return lambda asked: bool(subject(asked)) == (sign == "exists")
        if sign in ("in", "!in"):
            choices = frozenset(self._list())
            return lambda asked: any(value in choices for value in subject(asked)) == (sign == "in")
        if sign in ("=~", "!~"):
            matches = self._pattern()
            return lambda asked: any(matches(value) for value in subject(asked)) == (sign == "=~")
        wanted = self._argument()
        if sign in ("==", "!="):
            return lambda asked: (wanted in subject(asked)) == (sign == "==")
        before = _comparison(name, sign, wanted)
        if before is None:
            raise self.wrong(f"'{wanted}' cannot be compared with {name}")
        return lambda asked: any(before(value) for value in subject(asked))

    def _operator(self) -> str:
        sign = self._next()
        if sign == "!":  # of !exists and !in
            sign = f"!{self._next()}"
        sign = _WORDS.get(sign or "", sign)
        if sign not in ("==", "!=", "=~", "!~", "exists", "!exists", "in", "!in", *_ORDERED):
            raise self.wrong("an operator was expected")
        return sign

    def _argument(self) -> str:
        value = self._next()
        if value is None or value in ("(", ")", "[", "]", ","):
            raise self.wrong("a value was expected")
        return value

    def _list(self) -> Iterator[str]:
        if not self._take("["):
            raise self.wrong("'[' was expected")
        yield self._argument()
        while self._take(","):
            yield self._argument()
        if not self._take("]"):
            raise self.wrong("']' was expected")

    def _pattern(self) -> Callable[[str], bool]:
        found = _PATTERN_ARGUMENT.match(self._text, self._at)
        if found is None:
            raise self.wrong("a pattern was expected")
        text = next(group for group in found.groups() if group is not None)
        try:
            branches = [LogRegex(f"^{branch}$") for branch in text.split("|")]
        except RegexInvalid as error:
            raise self.wrong(f"the pattern '{text}' cannot be read: {error}") from None
        self._at = found.end()
        return lambda value: any(branch.search(value) for branch in branches)


def _subject(name: str) -> _Values | None:
    if name.startswith("attribute:"):
        attribute = name.removeprefix("attribute:")
        return lambda asked: [asked.node.attributes[attribute]] if attribute in asked.node.attributes else []
    return _SUBJECTS.get(name)


_SUBJECTS: Final[dict[str, _Values]] = {
    "agentConnected": lambda asked: ["true" if asked.node.instance.agent_connected else "false"],
    "agentVersion": lambda asked: [asked.node.instance.agent_version] if asked.node.instance.agent_version else [],
    "ec2InstanceId": lambda asked: (
        [asked.node.instance.ec2_instance_id] if asked.node.instance.ec2_instance_id else []
    ),
    "registeredAt": lambda asked: [datetime.fromtimestamp(asked.node.instance.registered_at, UTC).isoformat()],
    "runningTasksCount": lambda asked: [str(asked.node.tasks)],
    "task:group": lambda asked: list(asked.groups_on(asked.node)),
}


def _comparison(name: str, sign: str, wanted: str) -> Callable[[str], bool] | None:
    """How a value of that subject stands to `wanted`; None where `wanted` is nothing of its kind."""
    read = _READERS.get(name, _number)
    limit = read(wanted)
    if limit is None:
        return None
    compare = _ORDERED[sign]

    def holds(value: str) -> bool:
        found = read(value)
        return found is not None and compare(found, limit)

    return holds


def _number(text: str) -> _Rank | None:
    return (int(text),) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _version(text: str) -> _Rank | None:
    found = re.fullmatch(r"v?([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})", text)
    return tuple(int(part) for part in found.groups()) if found else None


def _moment(text: str) -> _Rank | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days, since.seconds, since.microseconds)


_READERS: Final = {"agentVersion": _version, "registeredAt": _moment}
