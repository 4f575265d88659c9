"""Tags on ECS resources. Rules: Developer Guide, "Tagging your Amazon ECS resources"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from moorage.api.ecs.errors import InvalidParameter
from moorage.model.tags import Tag, Tags

TAGS_MAX: Final = 50  # per resource; AWS's own number
KEY_MAX_CHARS: Final = 128
VALUE_MAX_CHARS: Final = 256
_ALLOWED = re.compile(r"[\w\s_.:/=+\-@]*", re.UNICODE)


def checked(tags: Sequence[Tag] | None) -> Tags:
    """The tags of a request, in their order; refused with InvalidParameterException where one breaks a rule."""
    tags = tuple(tags or ())
    if len(tags) > TAGS_MAX:
        raise InvalidParameter(f"The number of tags exceeds the limit of {TAGS_MAX}.")
    if len({tag.key for tag in tags}) != len(tags):
        raise InvalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in tags:
        if not 1 <= len(tag.key) <= KEY_MAX_CHARS:
            raise InvalidParameter(f"Tag keys must be between 1 and {KEY_MAX_CHARS} characters long.")
        if len(tag.value) > VALUE_MAX_CHARS:
            raise InvalidParameter(f"Tag values must be at most {VALUE_MAX_CHARS} characters long.")
        if tag.key.lower().startswith("aws:"):
            raise InvalidParameter("Tag keys starting with aws: are reserved for system use.")
        if not (_ALLOWED.fullmatch(tag.key) and _ALLOWED.fullmatch(tag.value)):
            raise InvalidParameter(f"The tag {tag.key!r} holds characters that are not allowed.")
    return tags


def merged(old: Tags, new: Tags) -> Tags:
    """`old` with `new` laid over it; refused where that makes too many."""
    together = {tag.key: tag for tag in old} | {tag.key: tag for tag in new}
    if len(together) > TAGS_MAX:
        raise InvalidParameter(f"The number of tags exceeds the limit of {TAGS_MAX}.")
    return tuple(together.values())
