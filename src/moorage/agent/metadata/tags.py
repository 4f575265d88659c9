"""`taskWithTags`: the tags of the task and of its container instance, asked of the control plane each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from moorage.agent.api import ApiRefused
from moorage.agent.metadata.shapes import TagsError, Task
from moorage.base.errors import MoorageError, Unavailable

ListTags = Callable[[str], Awaitable[dict[str, str]]]


class Tags:
    """Lays the tags over a task; one that cannot be had is told as an error beside it."""

    def __init__(self, list_tags: ListTags, instance: Callable[[], str]) -> None:
        self._list_tags = list_tags
        self._instance = instance  # the ARN as registered; empty before

    async def lay(self, task: Task) -> Task:
        errors: list[TagsError] = []
        tags = await self._of("TaskTags", task.task_arn, errors)
        arn = self._instance()
        others = await self._of("ContainerInstanceTags", arn, errors) if arn else None
        return replace(task, task_tags=tags, container_instance_tags=others, errors=tuple(errors))

    async def _of(self, field: str, arn: str, errors: list[TagsError]) -> dict[str, str] | None:
        try:
            return await self._list_tags(arn) or None
        except (ApiRefused, Unavailable) as error:
            errors.append(_error(field, arn, error))
            return None


def _error(field: str, arn: str, error: MoorageError) -> TagsError:
    refused = isinstance(error, ApiRefused)
    return TagsError(
        error_field=field,
        error_code=error.code if isinstance(error, ApiRefused) else "ServerException",
        error_message=str(error),
        status_code=400 if refused else 500,
        resource_arn=arn,
    )
