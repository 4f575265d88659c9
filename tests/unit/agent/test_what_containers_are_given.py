"""The variables and facts that a container gets with its plan."""

from __future__ import annotations

import re

import msgspec
import pytest
from msgspec.structs import replace

from moorage.agent.drivers.accounts import Account
from moorage.agent.drivers.bundle import Place, environment
from moorage.agent.payload import NodeTraits, plan
from moorage.agent.spec import ContainerSpec, RootImage
from moorage.agent.task import ContainerPlan
from moorage.link import acs, docker
from tests.unit.agent.test_reading_payloads import ARN, ENI, ID, container, task

KEYED = NodeTraits(region="us-east-1", endpoint_key="ab" * 32)
ACCOUNT = Account(uid=0, gid=0, groups=(), home="/root")


def planned(given: acs.Task, traits: NodeTraits = KEYED) -> ContainerPlan:
    return plan(given, traits).containers[0]


def test_a_container_finds_its_endpoint_by_three_variables_with_one_id() -> None:
    told = dict(planned(task()).spec.environment)
    base = "http://169.254.170.2"
    found = re.fullmatch(rf"{base}/v4/([0-9a-f-]{{36}})", told["ECS_CONTAINER_METADATA_URI_V4"])
    assert found
    assert told["ECS_CONTAINER_METADATA_URI"] == f"{base}/v3/{found[1]}"
    assert told["ECS_AGENT_URI"] == f"{base}/api/{found[1]}"
    assert planned(task()).facts.endpoint_id == found[1]


def test_the_endpoint_is_the_agents_to_name_whatever_the_definition_says() -> None:
    own = replace(container(), environment={"ECS_CONTAINER_METADATA_URI_V4": "http://elsewhere"})
    told = dict(planned(task(own)).spec.environment)
    assert told["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/")


def test_the_id_stays_the_same_for_a_node_and_is_another_on_any_other() -> None:
    other = NodeTraits(region="us-east-1", endpoint_key="cd" * 32)
    ids = [planned(task(), traits).facts.endpoint_id for traits in (KEYED, KEYED, other)]
    assert ids[0] == ids[1] != ids[2]


def test_each_container_has_an_id_of_its_own() -> None:
    both = plan(task(container(), replace(container(), name="side")), KEYED).containers
    assert both[0].facts.endpoint_id != both[1].facts.endpoint_id


def test_on_fargate_the_id_is_the_runtime_id() -> None:
    given = replace(task(), launch_type="FARGATE", network_mode="awsvpc", elastic_network_interfaces=(ENI,))
    made = planned(given)
    assert made.facts.endpoint_id == made.runtime_id
    assert re.fullmatch(rf"{ID}-\d{{10}}", made.runtime_id)
    assert made.facts.docker_name == "app"


def test_a_node_without_an_endpoint_names_none() -> None:
    assert planned(task(), NodeTraits(region="us-east-1")).spec.environment == ()


def test_labels_and_name_are_those_of_the_published_agent() -> None:
    config = docker.Config(labels={"team": "blue"})
    facts = planned(task(replace(container(config=config), name="my_app"))).facts
    assert re.fullmatch(r"ecs-web-7-myapp-[0-9a-f]{20}", facts.docker_name)
    assert dict(facts.labels) == {
        "team": "blue",
        "com.amazonaws.ecs.cluster": "lab",
        "com.amazonaws.ecs.container-name": "my_app",
        "com.amazonaws.ecs.task-arn": ARN,
        "com.amazonaws.ecs.task-definition-family": "web",
        "com.amazonaws.ecs.task-definition-version": "7",
    }


@pytest.mark.parametrize("named_by", ["task", "image", "nobody"])
def test_the_region_is_set_unless_task_or_image_names_one(named_by: str) -> None:
    spec: ContainerSpec = planned(task()).spec
    image = RootImage(digest="sha256:0", layers=())
    if named_by == "task":
        spec = msgspec.structs.replace(spec, environment=(("AWS_REGION", "eu-west-1"),))
    elif named_by == "image":
        image = msgspec.structs.replace(image, environment=("AWS_DEFAULT_REGION=eu-west-1",))
    place = Place(root="/", account=ACCOUNT, cgroup="", capabilities=())
    told = dict(entry.split("=", 1) for entry in environment(spec, image, place))
    found = {name: told.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    assert (
        found
        == {
            "task": {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": None},
            "image": {"AWS_REGION": None, "AWS_DEFAULT_REGION": "eu-west-1"},
            "nobody": {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"},
        }[named_by]
    )
