"""One installation, several regions: each stands alone, with the partition that its name asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.platform.installation import Installation, free_port


@pytest.fixture
def worldwide(tmp_path: Path) -> Iterator[Installation]:
    """An installation that serves three regions."""
    installation = Installation(tmp_path / "home")
    regions = ("--region", "eu-central-1", "--region", "cn-north-1", "--region", "us-gov-west-1")
    installation.up("--listen", f"127.0.0.1:{free_port()}", *regions)
    try:
        yield installation
    finally:
        installation.down()


def test_what_is_made_in_one_region_is_in_no_other(worldwide: Installation) -> None:
    arns = {}
    for region in ("eu-central-1", "cn-north-1", "us-gov-west-1"):
        side = Installation(worldwide.home)
        side.region = region
        cluster = side.ecs.create_cluster(clusterName=f"only-{region}")["cluster"]
        arns[region] = (cluster["clusterArn"], side.ecs.list_clusters()["clusterArns"])
        zones = side.client("ec2").describe_availability_zones()["AvailabilityZones"]
        assert [zone["ZoneName"] for zone in zones] == [f"{region}{letter}" for letter in "abc"]
    for made, listed in arns.values():
        assert [arn for arn in listed if "/only-" in arn] == [made]
    assert arns["eu-central-1"][0].startswith("arn:aws:ecs:eu-central-1:")
    assert arns["cn-north-1"][0].startswith("arn:aws-cn:ecs:cn-north-1:")
    assert arns["us-gov-west-1"][0].startswith("arn:aws-us-gov:ecs:us-gov-west-1:")


def test_the_instance_and_fargate_are_in_the_first_region(worldwide: Installation) -> None:
    side = Installation(worldwide.home)
    side.region = "eu-central-1"
    listed = side.ecs.list_container_instances()["containerInstanceArns"]
    assert len(listed) == 1
    assert listed[0].startswith("arn:aws:ecs:eu-central-1:")
