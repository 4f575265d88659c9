"""Whether a caller may call an operation.

The root of the account may everything. A node's key is for its agent: what the published agent calls, and nothing by
which it could read or change another's work.
"""

from __future__ import annotations

from typing import Final

from moorage.model.principal import AccessKey

NODE_ACTIONS: Final = frozenset(
    {
        ("ecs", "CreateCluster"),  # the agent makes the cluster `default` where there is none
        ("ecs", "RegisterContainerInstance"),
        ("ecs", "DeregisterContainerInstance"),
        ("ecs", "DiscoverPollEndpoint"),
        ("ecs", "SubmitTaskStateChange"),
        ("ecs", "SubmitContainerStateChange"),
        ("ecs", "SubmitAttachmentStateChanges"),
        ("ecs", "UpdateContainerInstancesState"),
        ("ecs", "ListTagsForResource"),
        ("logs", "CreateLogGroup"),
        ("logs", "CreateLogStream"),
        ("logs", "DescribeLogGroups"),
        ("logs", "DescribeLogStreams"),
        ("logs", "PutLogEvents"),
        ("sts", "GetCallerIdentity"),
    }
)


def may_call(key: AccessKey, service: str, operation: str) -> bool:
    """`service` is botocore's name for it."""
    return key.kind == "root" or (service, operation) in NODE_ACTIONS
