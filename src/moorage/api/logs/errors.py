"""The refusals of CloudWatch Logs; texts as the service writes them, for clients match on some.

Source: CloudWatch Logs API reference, each operation's Errors section.
"""

from __future__ import annotations

from moorage.base.errors import Refused


class InvalidParameter(Refused):
    code = "InvalidParameterException"


class ResourceNotFound(Refused):
    code = "ResourceNotFoundException"


class GroupNotFound(ResourceNotFound):
    message = "The specified log group does not exist."


class StreamNotFound(ResourceNotFound):
    message = "The specified log stream does not exist."


class GroupExists(Refused):
    code = "ResourceAlreadyExistsException"
    message = "The specified log group already exists"


class StreamExists(Refused):
    code = "ResourceAlreadyExistsException"
    message = "The specified log stream already exists"


class TooManyTags(Refused):
    code = "TooManyTagsException"
