"""Does: Amazon CloudWatch Logs: groups, streams and their events.
May import: api.call, store, wire, link, rules, model, base.
Does not: keep events, that is the event store's; import another service.
"""

from typing import Final

from moorage.api.call import Operation
from moorage.api.logs.events import get_log_events, put_log_events
from moorage.api.logs.filter import filter_log_events
from moorage.api.logs.groups import (
    create_log_group,
    delete_log_group,
    delete_retention_policy,
    describe_log_groups,
    put_retention_policy,
)
from moorage.api.logs.streams import create_log_stream, delete_log_stream, describe_log_streams
from moorage.api.logs.tags import (
    list_tags_for_resource,
    list_tags_log_group,
    tag_log_group,
    tag_resource,
    untag_log_group,
    untag_resource,
)

__all__ = ["OPERATIONS"]

OPERATIONS: Final[dict[str, Operation]] = {
    "CreateLogGroup": create_log_group,
    "CreateLogStream": create_log_stream,
    "DeleteLogGroup": delete_log_group,
    "DeleteLogStream": delete_log_stream,
    "DeleteRetentionPolicy": delete_retention_policy,
    "DescribeLogGroups": describe_log_groups,
    "DescribeLogStreams": describe_log_streams,
    "FilterLogEvents": filter_log_events,
    "GetLogEvents": get_log_events,
    "ListTagsForResource": list_tags_for_resource,
    "ListTagsLogGroup": list_tags_log_group,
    "PutLogEvents": put_log_events,
    "PutRetentionPolicy": put_retention_policy,
    "TagLogGroup": tag_log_group,
    "TagResource": tag_resource,
    "UntagLogGroup": untag_log_group,
    "UntagResource": untag_resource,
}
