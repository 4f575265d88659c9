"""The refusals of ECS. Codes and texts are what clients match on.

Source: API reference, Common Errors and each operation's Errors section.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.base.errors import Refused


class InvalidParameter(Refused):
    code = "InvalidParameterException"


class ClientRefused(Refused):
    """The name ECS gives to what the caller got wrong in a task definition or a describe call."""

    code = "ClientException"


class ClusterNotFound(Refused):
    code = "ClusterNotFoundException"
    message = "Cluster not found."


class ServiceNotFound(Refused):
    code = "ServiceNotFoundException"
    message = "Service not found."


class LimitExceeded(Refused):
    code = "LimitExceededException"


class Conflict(Refused):
    """What a request stands against is already there; `resources` are the ARNs of that."""

    code = "ConflictException"

    def __init__(self, message: str, resources: Sequence[str]) -> None:
        super().__init__(message, members={"resourceIds": resources})


class ClusterContainsTasks(Refused):
    code = "ClusterContainsTasksException"
    message = "The Cluster cannot be deleted while Tasks are active."


class ClusterContainsContainerInstances(Refused):
    code = "ClusterContainsContainerInstancesException"
    message = "The Cluster cannot be deleted while Container Instances are active or draining."


class TargetNotFound(Refused):
    code = "TargetNotFoundException"


class TargetNotConnected(Refused):
    code = "TargetNotConnectedException"


class AttributeLimitExceeded(Refused):
    code = "AttributeLimitExceededException"


class ResourceNotFound(Refused):
    code = "ResourceNotFoundException"


class UnsupportedFeature(Refused):
    code = "UnsupportedFeatureException"


class PlatformUnknown(Refused):
    code = "PlatformUnknownException"


class AccessDenied(Refused):
    code = "AccessDeniedException"
