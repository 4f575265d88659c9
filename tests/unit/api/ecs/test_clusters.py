"""Clusters come, are described, change and go."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.base.errors import Refused
from moorage.model.cluster import FARGATE_CLUSTER
from tests.unit.api.ecs.asking import ask
from tests.unit.records import a_cluster, a_task, an_instance
from tests.unit.support import make_call

ARN = "arn:aws:ecs:us-east-1:123456789012:cluster/"


def _put(call: Call, *records: object) -> None:
    with call.store.update() as tx:
        for record in records:
            table = next(table for table in call.store.view().tables.values() if isinstance(record, table.record))
            getattr(tx, table.name).put(record)


def test_a_cluster_without_a_name_is_the_default_one() -> None:
    call = make_call()
    cluster = ask(call, "CreateCluster")["cluster"]
    assert cluster == {
        "clusterArn": ARN + "default",
        "clusterName": "default",
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        "activeServicesCount": 0,
        "statistics": [],
        "tags": [],
        "settings": [{"name": "containerInsights", "value": "disabled"}],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }
    assert ask(call, "ListClusters") == {"clusterArns": [ARN + "default"]}


def test_creating_again_gives_the_same_cluster() -> None:
    call = make_call()
    tags = [{"key": "team", "value": "blue"}]
    first = ask(call, "CreateCluster", clusterName="prod", tags=tags)
    assert ask(call, "CreateCluster", clusterName="prod", tags=tags) == first
    assert ask(call, "CreateCluster", clusterName="prod") == first


def test_creating_again_with_other_arguments_is_refused() -> None:
    call = make_call()
    ask(call, "CreateCluster", clusterName="prod")
    with pytest.raises(Refused, match="InvalidParameterException: Arguments on this idempotent request"):
        ask(call, "CreateCluster", clusterName="prod", capacityProviders=["FARGATE"])


@pytest.mark.parametrize("name", ["a b", "x" * 256, "a/b", FARGATE_CLUSTER])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(make_call(), "CreateCluster", clusterName=name)


def test_container_insights_follow_the_account() -> None:
    call = make_call()
    ask(call, "PutAccountSettingDefault", name="containerInsights", value="disabled")
    assert ask(call, "CreateCluster")["cluster"]["settings"][0]["value"] == "disabled"


@pytest.mark.parametrize(
    "settings",
    [
        [{"name": "colour", "value": "red"}],
        [{"name": "containerInsights", "value": "loud"}],
        [{"name": "containerInsights", "value": "enabled"}],
        [{"name": "containerInsights", "value": "disabled"}] * 2,
    ],
)
def test_settings_that_clusters_have_not_are_refused(settings: list[dict[str, str]]) -> None:
    with pytest.raises(Refused, match="InvalidParameterException"):
        ask(make_call(), "CreateCluster", settings=settings)


def test_what_was_not_asked_to_be_included_is_empty() -> None:
    call = make_call()
    ask(call, "CreateCluster", tags=[{"key": "a", "value": "b"}])
    bare = ask(call, "DescribeClusters")["clusters"][0]
    assert (bare["tags"], bare["settings"], bare["statistics"]) == ([], [], [])
    assert "attachments" not in bare
    parts = ["TAGS", "SETTINGS", "STATISTICS", "CONFIGURATIONS", "ATTACHMENTS"]
    full = ask(call, "DescribeClusters", clusters=["default"], include=parts)["clusters"][0]
    assert full["tags"] == [{"key": "a", "value": "b"}]
    assert full["attachments"] == []
    assert {"name": "runningFargateTasksCount", "value": "0"} in full["statistics"]


def test_clusters_count_what_runs_in_them() -> None:
    call = make_call()
    running = replace(a_task(1), last_status="RUNNING", launch_type="FARGATE")
    _put(call, a_cluster(), an_instance(), running, a_task(2), replace(a_task(3), last_status="STOPPED"))
    cluster = ask(call, "DescribeClusters", include=["STATISTICS"])["clusters"][0]
    assert cluster["registeredContainerInstancesCount"] == 1
    assert (cluster["runningTasksCount"], cluster["pendingTasksCount"]) == (1, 1)
    counts = {one["name"]: one["value"] for one in cluster["statistics"]}
    assert (counts["runningFargateTasksCount"], counts["pendingEC2TasksCount"]) == ("1", "1")


def test_unknown_clusters_are_told_as_failures() -> None:
    call = make_call()
    ask(call, "CreateCluster", clusterName="prod")
    answer = ask(call, "DescribeClusters", clusters=[ARN + "prod", "gone"])
    assert [cluster["clusterName"] for cluster in answer["clusters"]] == ["prod"]
    assert answer["failures"] == [{"arn": ARN + "gone", "reason": "MISSING"}]


def test_the_fargate_fleet_is_nobodys_to_see() -> None:
    call = make_call()
    _put(call, a_cluster(FARGATE_CLUSTER, fargate=True))
    assert ask(call, "ListClusters") == {"clusterArns": []}
    assert ask(call, "DescribeClusters", clusters=[FARGATE_CLUSTER])["clusters"] == []
    with pytest.raises(Refused, match="ClusterNotFoundException"):
        ask(call, "DeleteCluster", cluster=FARGATE_CLUSTER)


def test_more_than_a_hundred_clusters_are_not_described_at_once() -> None:
    with pytest.raises(Refused, match="At most 100"):
        ask(make_call(), "DescribeClusters", clusters=[f"c{number}" for number in range(101)])


def test_lists_come_in_pages() -> None:
    call = make_call()
    for number in range(5):
        ask(call, "CreateCluster", clusterName=f"c{number}")
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = ask(call, "ListClusters", maxResults=2, **token)
        seen += page["clusterArns"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == [f"{ARN}c{number}" for number in range(5)]


@pytest.mark.parametrize("operation", ["UpdateCluster", "UpdateClusterSettings"])
def test_settings_can_be_changed(operation: str) -> None:
    call = make_call()
    ask(call, "CreateCluster")
    settings = [{"name": "containerInsights", "value": "disabled"}]
    assert ask(call, operation, cluster="default", settings=settings)["cluster"]["settings"] == settings
    assert ask(call, "DescribeClusters", include=["SETTINGS"])["clusters"][0]["settings"] == settings


def test_a_deleted_cluster_is_inactive_and_can_be_made_anew() -> None:
    call = make_call()
    ask(call, "CreateCluster", tags=[{"key": "old", "value": ""}])
    assert ask(call, "DeleteCluster", cluster="default")["cluster"]["status"] == "INACTIVE"
    assert ask(call, "DeleteCluster", cluster="default")["cluster"]["status"] == "INACTIVE"
    assert ask(call, "ListClusters") == {"clusterArns": []}
    assert ask(call, "DescribeClusters")["clusters"][0]["status"] == "INACTIVE"
    with pytest.raises(Refused, match=r"ClusterNotFoundException: The referenced cluster was inactive\."):
        ask(call, "UpdateCluster", cluster="default")
    anew = ask(call, "CreateCluster")["cluster"]
    assert (anew["status"], anew["tags"]) == ("ACTIVE", [])


def test_a_cluster_with_instances_or_tasks_stays() -> None:
    call = make_call()
    _put(call, a_cluster(), an_instance())
    with pytest.raises(Refused, match="ClusterContainsContainerInstancesException"):
        ask(call, "DeleteCluster", cluster="default")
    _put(call, replace(an_instance(), status="INACTIVE"), a_task())
    with pytest.raises(Refused, match="ClusterContainsTasksException"):
        ask(call, "DeleteCluster", cluster="default")
    _put(call, replace(a_task(), last_status="STOPPED"))
    assert ask(call, "DeleteCluster", cluster="default")["cluster"]["status"] == "INACTIVE"


def test_deleting_what_never_was_is_refused() -> None:
    with pytest.raises(Refused, match=r"ClusterNotFoundException: Cluster not found\."):
        ask(make_call(), "DeleteCluster", cluster="nowhere")


def test_what_clusters_cannot_do_yet_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"serviceConnectDefaults .*is not supported"):
        ask(make_call(), "CreateCluster", serviceConnectDefaults={"namespace": "x"})
