"""Finding the task definition that a caller names: `family`, `family:revision` or an ARN."""

from __future__ import annotations

from typing import NamedTuple

from moorage.api.ecs.errors import ClientRefused
from moorage.base.ids import Arn, Scope
from moorage.model.task_definition import TaskDefinition
from moorage.store import State, StateTx
from moorage.store.state import joined

# Nine digits: a family has at most a million revisions, and int() takes no number of a million digits.
REVISION_MAX_DIGITS = 9


class Name(NamedTuple):
    """The parts of a name; without a revision it means the latest ACTIVE one."""

    family: str
    revision: int | None


def parse_name(scope: Scope, text: str) -> Name | None:
    """The parts of what a caller wrote; None where it is an ARN of something else or of somewhere else.

    Refused with ClientException where the revision is no number.
    """
    if text.startswith("arn:"):
        arn = Arn.parse(text)
        if arn is None or not arn.resource.startswith("task-definition/"):
            return None
        text = arn.resource.removeprefix("task-definition/")
        if scope.arn("ecs", f"task-definition/{text}") != ":".join(("arn", *arn)):
            return None
    family, colon, revision = text.partition(":")
    if not colon:
        return Name(family, None)
    if not (revision.isascii() and revision.isdigit()) or len(revision) > REVISION_MAX_DIGITS or not int(revision):
        raise ClientRefused(f"Invalid revision number. Number: {revision}")
    return Name(family, int(revision))


def find_task_definition(state: State | StateTx, scope: Scope, text: str) -> TaskDefinition | None:
    """The definition that `text` names, of whatever status if it names a revision."""
    name = parse_name(scope, text)
    if name is None:
        return None
    if name.revision is not None:
        return _revision(state, scope, name.family, name.revision)
    known = state.task_families.get(joined(*scope, name.family))
    last = _revision(state, scope, name.family, known.last_revision) if known else None
    if last is not None and last.status == "ACTIVE":
        return last  # nearly always, and families have thousands of revisions
    active = state.task_definitions.by("active", (*scope, name.family))
    return max(active, key=lambda definition: definition.revision, default=None)


def _revision(state: State | StateTx, scope: Scope, family: str, revision: int) -> TaskDefinition | None:
    return state.task_definitions.get(scope.arn("ecs", f"task-definition/{family}:{revision}"))
