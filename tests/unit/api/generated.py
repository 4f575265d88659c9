"""Requests made out of AWS's model: members of the right type or, now and then, not; names that exist or nearly do.

Drawn from a seed, so that a request is told by two numbers. Most begin as one that works, since what is refused at
the door tests the door alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

STRANGE: Final[Sequence[object]] = (
    None,
    True,
    -1,
    0,
    1,
    7,
    2**31,
    2**70,
    1.5,
    "",
    "0",
    "a\0b",
    "\ud800",
    "ж" * 300,
    [],
    {},
)
MEMBERS_MORE: Final = 2  # optional ones of a structure: more would nearly always hold one that is not built
DEPTH_MAX: Final = 6

PART: Final = {"name": "app", "image": "busybox", "memory": 64}
NETWORK: Final = {"awsvpcConfiguration": {"subnets": ["{subnet}"], "assignPublicIp": "ENABLED"}}
WORKING: Final[Mapping[str, Sequence[dict[str, Any]]]] = {
    "RegisterTaskDefinition": (
        {"family": "web", "containerDefinitions": [PART]},
        {
            "family": "fargate",
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "requiresCompatibilities": ["FARGATE"],
            "containerDefinitions": [PART | {"portMappings": [{"containerPort": 80}]}],
        },
    ),
    "RunTask": (
        {"taskDefinition": "web", "count": 2},
        {"taskDefinition": "fargate", "launchType": "FARGATE", "networkConfiguration": NETWORK},
        {"taskDefinition": "web", "clientToken": "once"},
        {"taskDefinition": "web", "overrides": {"containerOverrides": [{"name": "app", "cpu": 10}]}},
        {
            "taskDefinition": "web",
            "placementConstraints": [{"type": "memberOf", "expression": "agentConnected == true"}],
        },
        {"taskDefinition": "web", "placementStrategy": [{"type": "spread", "field": "instanceId"}]},
    ),
    "StartTask": ({"taskDefinition": "web", "containerInstances": ["{container-instance}"]},),
    "StopTask": ({"task": "{task}"},),
    "DescribeTasks": ({"tasks": ["{task}", "{task}"]},),
    "ListTasks": ({"maxResults": 1}, {"family": "web"}, {"containerInstance": "{container-instance}"}),
    "ListContainerInstances": ({"filter": "runningTasksCount > 0"},),
    "SubmitTaskStateChange": (
        {"task": "{task}", "status": "RUNNING", "containers": [{"containerName": "app", "status": "RUNNING"}]},
        {"task": "{task}", "status": "STOPPED", "containers": [{"containerName": "app", "exitCode": 1}]},
    ),
    "SubmitContainerStateChange": ({"task": "{task}", "containerName": "app", "status": "STOPPED"},),
    "SubmitAttachmentStateChanges": ({"attachments": [{"attachmentArn": "{attachment}", "status": "ATTACHED"}]},),
    "RegisterContainerInstance": (
        {"totalResources": [{"name": n, "type": "INTEGER", "integerValue": 99} for n in ("CPU", "MEMORY")]},
    ),
    "DeregisterContainerInstance": ({"containerInstance": "{container-instance}", "force": True},),
    "PutAttributes": ({"attributes": [{"name": "stack", "value": "b", "targetId": "{container-instance}"}]},),
    "ListAttributes": ({"targetType": "container-instance"},),
    "PutClusterCapacityProviders": (
        {"cluster": "default", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": []},
    ),
    "DeleteAttributes": ({"attributes": [{"name": "stack", "targetId": "{container-instance}"}]},),
    "UpdateContainerInstancesState": ({"containerInstances": ["{container-instance}"], "status": "DRAINING"},),
    "DescribeContainerInstances": ({"containerInstances": ["{container-instance}", "{container-instance}"]},),
    "CreateCluster": ({"clusterName": "prod", "settings": [{"name": "containerInsights", "value": "disabled"}]},),
    "UpdateCluster": ({"cluster": "default", "settings": [{"name": "containerInsights", "value": "disabled"}]},),
    "UpdateClusterSettings": (
        {"cluster": "default", "settings": [{"name": "containerInsights", "value": "disabled"}]},
    ),
    "TagResource": (
        {"resourceArn": "{resourcearn}", "tags": [{"key": "b", "value": "c"}]},
        {"resourceArn": "{group}", "tags": {"b": "c"}},
    ),
    "UntagResource": ({"resourceArn": "{resourcearn}", "tagKeys": ["a"]},),
    "ListTagsForResource": ({"resourceArn": "{resourcearn}"},),
    "PutAccountSettingDefault": ({"name": "fargateTaskRetirementWaitPeriod", "value": "14"},),
    "PutAccountSetting": ({"name": "awsvpcTrunking", "value": "enabled"},),
    "PutLogEvents": (
        {"logGroupName": "/app", "logStreamName": "one", "logEvents": [{"timestamp": 1767225600500, "message": "m"}]},
    ),
    "CreateLogStream": ({"logGroupName": "/app", "logStreamName": "three"},),
    "DeleteLogStream": ({"logGroupName": "/app", "logStreamName": "two"},),
    "DeleteLogGroup": ({"logGroupName": "/app"},),
    "PutRetentionPolicy": ({"logGroupName": "/app", "retentionInDays": 7},),
    "DeleteRetentionPolicy": ({"logGroupName": "/app"},),
    "ListTagsLogGroup": ({"logGroupName": "/app"},),
    "TagLogGroup": ({"logGroupName": "/app", "tags": {"b": "c"}},),
    "UntagLogGroup": ({"logGroupName": "/app", "tags": ["team"]},),
    "GetLogEvents": ({"logGroupName": "/app", "logStreamName": "one", "limit": 3},),
    "FilterLogEvents": ({"logGroupName": "/app", "filterPattern": "{ $.n > 3 }", "limit": 2},),
    "DescribeLogStreams": ({"logGroupName": "/app", "orderBy": "LastEventTime", "limit": 1},),
    "DescribeSubnets": ({"Filters": [{"Name": "vpc-id", "Values": ["*"]}], "MaxResults": 5},),
    "DescribeNetworkInterfaces": ({"Filters": [{"Name": "subnet-id", "Values": ["{subnet}"]}]},),
}


class Requests:
    """Makes requests of one service from seeds; `names` are what exists, by kind."""

    def __init__(self, names: Mapping[str, Sequence[str]], *, typed: bool) -> None:
        self._names = names
        self._all = [name for kind in names.values() for name in kind]
        self._typed = typed  # a form has no types that could be wrong

    def make(self, operation: Any, seed: int) -> dict[str, Any]:
        """The members of one request."""
        dice = Random(seed)
        shape = operation.input_shape
        made: dict[str, Any] = {} if shape is None else self._structure(dice, shape, 0)
        working = WORKING.get(operation.name)
        if working and dice.random() < 0.7:
            begun = self._filled(dice, deepcopy(dice.choice(working)))
            more = {name: value for name, value in made.items() if name not in begun}
            made = begun | (more if dice.random() < 0.5 else {})
        return made

    def _filled(self, dice: Random, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(dice, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(dice, inner) for inner in value]
        if isinstance(value, str) and value.startswith("{") and value[1:-1] in self._names:
            return dice.choice(self._names[value[1:-1]] or self._all)
        return value

    def _structure(self, dice: Random, shape: Any, depth: int) -> dict[str, Any]:
        optional = [name for name in shape.members if name not in shape.required_members]
        chosen = dice.sample(optional, min(len(optional), dice.randint(0, MEMBERS_MORE)))
        wanted = [name for name in shape.required_members if dice.random() < 0.97] + chosen
        return {name: self._member(dice, name, shape.members[name], depth + 1) for name in wanted}

    def _member(self, dice: Random, name: str, shape: Any, depth: int) -> Any:
        if not self._typed and dice.random() < 0.03:
            return dice.choice(STRANGE)
        if shape.type_name == "structure":
            return self._structure(dice, shape, depth) if depth < DEPTH_MAX else {}
        if shape.type_name == "list":
            count = 0 if depth >= DEPTH_MAX else dice.choice((0, 1, 1, 2, 3, 12))
            return [self._member(dice, name, shape.member, depth + 1) for _ in range(count)]
        if shape.type_name == "map":
            return {self._text(dice, name, shape.key): self._member(dice, name, shape.value, depth + 1)}
        return self._scalar(dice, name, shape)

    def _scalar(self, dice: Random, name: str, shape: Any) -> Any:
        match shape.type_name:
            case "boolean":
                return dice.random() < 0.5
            case "integer" | "long":
                limit = 2**31 if shape.type_name == "integer" else 2**63
                return dice.choice((-limit, -1, 0, 1, 2, 5, 80, 1000, 1_767_225_600_000 % limit, limit - 1))
            case "double" | "float":
                return dice.choice((-1.0, 0.0, 2.5, 1e300))
            case "timestamp":
                return dice.choice((-1.0, 0.0, 1_767_225_600.0, 1e15))
            case "blob":
                return "YWJj"
        return self._text(dice, name, shape)

    def _text(self, dice: Random, name: str, shape: Any) -> str:
        kind = dice.random()
        enum = getattr(shape, "enum", None)
        if enum and kind < 0.8:
            return str(dice.choice(enum))
        fitting = [known for word, names in self._names.items() if word in name.lower() for known in names]
        if fitting and kind < 0.6:
            return dice.choice(fitting)
        if kind < 0.85:
            return dice.choice(self._all)
        return "".join(
            dice.choice("ab1:/-_*.?{}[]$\\\"'= \0\u00e9\u4e2d\U0001f600")
            for _ in range(dice.choice((0, 1, 3, 20, 600)))
        )
