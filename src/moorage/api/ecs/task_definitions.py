"""Task definitions: RegisterTaskDefinition, DescribeTaskDefinition, DeregisterTaskDefinition, DeleteTaskDefinitions.

What may be registered is decided in `rules.task_definitions`. A revision goes ACTIVE, INACTIVE, DELETE_IN_PROGRESS,
and is gone when no task is left of it; its number is never used again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import ClientRefused, InvalidParameter, LimitExceeded
from moorage.api.ecs.tags import checked
from moorage.api.ecs.task_definition_lookup import find_task_definition, parse_name
from moorage.api.ecs.task_definition_shapes import TaskDefinitionShape, task_definition_shape
from moorage.base.ids import TaskDefinitionArn
from moorage.model.tags import Tag, Tags
from moorage.model.task_definition import TaskDefinition, TaskFamily
from moorage.rules.task_definitions import definition_of
from moorage.rules.task_definitions_draft import Draft
from moorage.store import StateTx
from moorage.store.state import joined

REVISIONS_MAX: Final = 1_000_000  # of a family, deleted ones counted; AWS's own quota
DELETE_MAX: Final = 10  # definitions in one call; AWS's own limit

_UNKNOWN = "Unable to describe task definition."
_STILL_ACTIVE = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
_NOT_THERE = "The specified task definition does not exist. Specify a valid account, family, revision and try again."


class RegisterTaskDefinitionRequest(Draft, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    tags: tuple[Tag, ...] | None = None


class TaskDefinitionAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definition: TaskDefinitionShape
    tags: Tags | None = None


def register_task_definition(call: Call, request: RegisterTaskDefinitionRequest) -> TaskDefinitionAnswer:
    """The next revision of its family, though it be the same as the last."""
    tags = checked(request.tags)
    asked = definition_of(request)
    with call.store.update() as tx:
        revision = _next_revision(call, tx, asked.family)
        definition = TaskDefinition(
            **msgspec.structs.asdict(asked),
            arn=TaskDefinitionArn(call.scope.arn("ecs", f"task-definition/{asked.family}:{revision}")),
            account=call.scope.account,
            region=call.scope.region,
            revision=revision,
            tags=tags,
            registered_at=call.now_s,
            registered_by=call.principal_arn,
        )
        assert definition.arn not in tx.task_definitions, f"{definition.arn} is given out twice"
        tx.task_definitions.put(definition)
    return TaskDefinitionAnswer(task_definition=task_definition_shape(definition), tags=tags)


def _next_revision(call: Call, tx: StateTx, family: str) -> int:
    known = tx.task_families.get(joined(*call.scope, family))
    revision = known.last_revision + 1 if known else 1
    if revision > REVISIONS_MAX:
        raise LimitExceeded(f"The family {family} has reached the limit of {REVISIONS_MAX} revisions.")
    tx.task_families.put(
        TaskFamily(account=call.scope.account, region=call.scope.region, name=family, last_revision=revision)
    )
    return revision


class DescribeTaskDefinitionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definition: str
    include: tuple[str, ...] | None = None


def describe_task_definition(call: Call, request: DescribeTaskDefinitionRequest) -> TaskDefinitionAnswer:
    """A revision, whatever its status; of a family the latest ACTIVE one."""
    include = request.include or ()
    for part in include:
        if part != "TAGS":
            raise InvalidParameter(f"Unknown include {part}; known is TAGS.")
    definition = find_task_definition(call.store.view(), call.scope, request.task_definition)
    if definition is None:
        raise ClientRefused(_UNKNOWN)
    return TaskDefinitionAnswer(
        task_definition=task_definition_shape(definition), tags=definition.tags if "TAGS" in include else ()
    )


class DeregisterTaskDefinitionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definition: str


def deregister_task_definition(call: Call, request: DeregisterTaskDefinitionRequest) -> TaskDefinitionAnswer:
    """No task can be started from it any more; those that run, run on. A second time changes nothing."""
    with call.store.update() as tx:
        definition = find_task_definition(tx, call.scope, request.task_definition)
        name = parse_name(call.scope, request.task_definition)
        if name is not None and name.revision is None:
            raise ClientRefused("Revision is missing.")
        if definition is None:
            raise ClientRefused(_UNKNOWN)
        if definition.status == "DELETE_IN_PROGRESS":
            raise ClientRefused("The specified task definition is being deleted.")
        if definition.status == "ACTIVE":
            definition = tx.task_definitions.put(
                msgspec.structs.replace(definition, status="INACTIVE", deregistered_at=call.now_s)
            )
    return TaskDefinitionAnswer(task_definition=task_definition_shape(definition))


class DeleteTaskDefinitionsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definitions: tuple[str, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    arn: str
    reason: str


class DeleteTaskDefinitionsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task_definitions: list[TaskDefinitionShape]
    failures: list[Failure]


def delete_task_definitions(call: Call, request: DeleteTaskDefinitionsRequest) -> DeleteTaskDefinitionsAnswer:
    """Marks INACTIVE revisions for deletion; each one for itself, so some may fail."""
    names = dict.fromkeys(request.task_definitions)
    if not names:
        raise InvalidParameter("Task definitions cannot be empty.")
    if len(names) > DELETE_MAX:
        raise InvalidParameter(f"At most {DELETE_MAX} task definitions can be deleted at once.")
    for text in names:
        name = parse_name(call.scope, text)
        if name is not None and name.revision is None:
            raise ClientRefused("Revision is missing.")
    answer = DeleteTaskDefinitionsAnswer(task_definitions=[], failures=[])
    with call.store.update() as tx:
        for text in names:
            _delete_one(call, tx, text, answer)
    return answer


def _delete_one(call: Call, tx: StateTx, text: str, answer: DeleteTaskDefinitionsAnswer) -> None:
    definition = find_task_definition(tx, call.scope, text)
    if definition is None:
        arn = text if text.startswith("arn:") else call.scope.arn("ecs", f"task-definition/{text}")
        answer.failures.append(Failure(arn=arn, reason=_NOT_THERE))
        return
    if definition.status == "ACTIVE":
        answer.failures.append(Failure(arn=definition.arn, reason=_STILL_ACTIVE))
        return
    if definition.status == "INACTIVE":
        definition = tx.task_definitions.put(
            msgspec.structs.replace(definition, status="DELETE_IN_PROGRESS", delete_requested_at=call.now_s)
        )
    answer.task_definitions.append(task_definition_shape(definition))
