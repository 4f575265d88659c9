"""Tags on clusters, tasks, task definitions and container instances."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.base.errors import Refused
from moorage.model.cluster import FARGATE_CLUSTER
from tests.unit.api.ecs.asking import ask
from tests.unit.records import CLUSTER, DEFINITION, INSTANCE, SCOPE, a_cluster, a_definition, a_task, an_instance
from tests.unit.support import make_call

TASK = a_task().arn
BLUE = {"key": "team", "value": "blue"}
RED = {"key": "team", "value": "red"}
SIZE = {"key": "size", "value": ""}


@pytest.fixture
def call() -> Call:
    call = make_call()
    with call.store.update() as tx:
        tx.clusters.put(a_cluster())
        tx.clusters.put(a_cluster(FARGATE_CLUSTER, fargate=True))
        tx.tasks.put(a_task())
        tx.task_definitions.put(a_definition())
        tx.container_instances.put(an_instance())
    return call


@pytest.mark.parametrize("arn", [CLUSTER, TASK, DEFINITION, INSTANCE])
def test_tags_are_laid_over_read_and_taken_away(call: Call, arn: str) -> None:
    def tags() -> object:
        return ask(call, "ListTagsForResource", resourceArn=arn)["tags"]

    assert tags() == []
    assert ask(call, "TagResource", resourceArn=arn, tags=[BLUE, SIZE]) == {}
    assert ask(call, "TagResource", resourceArn=arn, tags=[RED]) == {}
    assert tags() == [RED, SIZE]
    assert ask(call, "UntagResource", resourceArn=arn, tagKeys=["team", "absent"]) == {}
    assert tags() == [SIZE]


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (SCOPE.arn("ecs", "cluster/gone"), "ClusterNotFoundException"),
        (SCOPE.arn("ecs", f"cluster/{FARGATE_CLUSTER}"), "ClusterNotFoundException"),
        (SCOPE.arn("ecs", "task/gone/" + "0" * 32), "ClusterNotFoundException"),
        (SCOPE.arn("ecs", "task/default/" + "0" * 32), "InvalidParameterException"),
        (SCOPE.arn("ecs", "task/" + "0" * 32), "InvalidParameterException"),
        (SCOPE.arn("ecs", "task-definition/web:9"), "InvalidParameterException"),
        (SCOPE.arn("ecs", "service/default/web"), "InvalidParameterException"),
        (CLUSTER.replace("us-east-1", "eu-west-1"), "ClusterNotFoundException"),
        ("arn:aws:s3:::bucket", "InvalidParameterException"),
        ("default", "InvalidParameterException"),
    ],
)
def test_what_is_not_there_has_no_tags(call: Call, arn: str, code: str) -> None:
    for operation, members in (
        ("TagResource", {"tags": [BLUE]}),
        ("UntagResource", {"tagKeys": ["team"]}),
        ("ListTagsForResource", {}),
    ):
        with pytest.raises(Refused) as caught:
            ask(call, operation, resourceArn=arn, **members)
        assert caught.value.code == code


def test_a_deleted_cluster_takes_no_tags(call: Call) -> None:
    with call.store.update() as tx:
        tx.clusters.put(replace(a_cluster(), status="INACTIVE"))
    with pytest.raises(Refused, match="InvalidParameterException: The specified cluster is inactive"):
        ask(call, "TagResource", resourceArn=CLUSTER, tags=[BLUE])


def test_a_refused_change_leaves_the_tags_as_they_were(call: Call) -> None:
    many = [{"key": f"k{number}", "value": ""} for number in range(50)]
    ask(call, "TagResource", resourceArn=CLUSTER, tags=many)
    with pytest.raises(Refused, match="exceeds the limit of 50"):
        ask(call, "TagResource", resourceArn=CLUSTER, tags=[BLUE])
    assert ask(call, "ListTagsForResource", resourceArn=CLUSTER)["tags"] == many


@pytest.mark.parametrize("key", ["aws:ecs:clusterName", "AWS:x"])
def test_the_platforms_own_tags_are_not_the_callers(call: Call, key: str) -> None:
    with pytest.raises(Refused, match="reserved"):
        ask(call, "TagResource", resourceArn=CLUSTER, tags=[{"key": key, "value": ""}])
    with pytest.raises(Refused, match="reserved"):
        ask(call, "UntagResource", resourceArn=CLUSTER, tagKeys=[key])
