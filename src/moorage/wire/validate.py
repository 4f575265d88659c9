"""Does a parsed request keep the model's constraints, as far as its service minds them?

Services differ in what they check, and in code and sentence; the table at the end says how. ECS checks far less than
its model promises, and says the rest itself, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from moorage.base.errors import Refused
from moorage.wire.constraints import CheckMaker, Rule, Violation, path_of
from moorage.wire.service import Operation
from moorage.wire.shapes import Compiler, Input, Value

__all__ = ["validate"]

# Characters of a value, and violations, that a message repeats: enough to recognise them.
_SHOWN_MAX: Final = 256
_TOLD_MAX: Final = 10

_CHECKS: Final = Compiler(CheckMaker())


class _Convention(NamedTuple):
    """What one service minds, and how it says so."""

    minds: frozenset[Rule]
    refusal: Callable[[Operation, Sequence[Violation]], Refused]


def validate(operation: Operation, request: Input) -> None:
    """Raises `Refused` with the service's own code and sentence."""
    found: list[Violation] = []
    _CHECKS.of(operation.input)(request, None, found)
    if not found:
        return
    convention = _CONVENTIONS.get(operation.service) or _BY_PROTOCOL.get(operation.facts.protocol, _DETECTED_JSON)
    minded = [violation for violation in found if violation.rule in convention.minds]
    if minded:
        raise convention.refusal(operation, minded)


def _detected(code: str) -> Callable[[Operation, Sequence[Violation]], Refused]:
    """The sentence that most services share; all violations in one message."""

    def refusal(_operation: Operation, violations: Sequence[Violation]) -> Refused:
        told = "; ".join(
            f"Value {_shown(violation)} at '{_lower_path(violation)}' failed to satisfy constraint: "
            f"{violation.constraint}"
            for violation in violations[:_TOLD_MAX]
        )
        errors = "error" if len(violations) == 1 else "errors"
        return Refused(f"{len(violations)} validation {errors} detected: {told}", code=code)

    return refusal


def _ecr(_operation: Operation, violations: Sequence[Violation]) -> Refused:
    first = violations[0]
    return Refused(
        f"Invalid parameter at '{_lower_path(first)}' failed to satisfy constraint: '{first.constraint}'",
        code="InvalidParameterException",
    )


def _ecs(operation: Operation, violations: Sequence[Violation]) -> Refused:
    # RegisterTaskDefinition tells all its refusals as ClientException.
    code = "ClientException" if operation.name == "RegisterTaskDefinition" else "InvalidParameterException"
    names = [name for name in path_of(violations[0].place) if name != "member"]
    names[-1] = names[-1][:1].upper() + names[-1][1:] if len(names) == 1 else names[-1]
    return Refused(f"{'.'.join(names)} can not be blank.", code=code)


def _ec2(_operation: Operation, violations: Sequence[Violation]) -> Refused:
    first = violations[0]
    name = ".".join(part for part in path_of(first.place) if part != "member")
    if first.rule == "required":
        return Refused(f"The request must contain the parameter {name}", code="MissingParameter")
    bound = first.constraint.removeprefix("Member must have value ")
    named = f"Value ( {_text(first.value or 0)} ) for parameter {name[:1].lower() + name[1:]}"
    return Refused(f"{named} is invalid. Expecting a value {bound}.", code="InvalidParameterValue")


def _lower_path(violation: Violation) -> str:
    return ".".join(name[:1].lower() + name[1:] for name in path_of(violation.place))


def _shown(violation: Violation) -> str:
    if violation.value is None:
        return "null"
    if violation.shape.sensitive:
        return "'***'"
    text = _text(violation.value)
    return f"'{text[:_SHOWN_MAX]}…'" if len(text) > _SHOWN_MAX else f"'{text}'"


def _text(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value[:_SHOWN_MAX]))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_text(item)}' for name, item in value.items())}}}"
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


_ALL: Final[frozenset[Rule]] = frozenset({"required", "length", "range", "pattern", "enum"})
_DETECTED_JSON: Final = _Convention(_ALL, _detected("ValidationException"))
_BY_PROTOCOL: Final[Mapping[str, _Convention]] = {
    "query": _Convention(_ALL, _detected("ValidationError")),
    "ec2": _Convention(frozenset({"required", "range"}), _ec2),
}
_CONVENTIONS: Final[Mapping[str, _Convention]] = {
    "ecs": _Convention(frozenset({"required"}), _ecs),
    "ecr": _Convention(_ALL, _ecr),
    "logs": _Convention(_ALL, _detected("InvalidParameterException")),
}
