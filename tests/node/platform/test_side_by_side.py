"""Two installations on one machine: both work, neither meets the other."""

from __future__ import annotations

import ipaddress

import pytest
from botocore.exceptions import ClientError

from tests.node.platform.installation import FOREVER, Installation, address_of, fetch, served

HTTPD = ["httpd", "-f", "-p", "8080", "-h", "/etc"]


def ranges(installation: Installation) -> list[ipaddress.IPv4Network]:
    settings = installation.settings
    texts = [settings["vpc_cidr"], *(node["bridge_cidr"] for node in settings["nodes"])]
    return [ipaddress.IPv4Network(text) for text in texts]


def test_ports_ranges_keys_and_names_differ(shared: Installation, own: Installation) -> None:
    assert shared.settings["port"] != own.settings["port"]
    assert shared.settings["id"] != own.settings["id"]
    assert shared.key() != own.key()
    assert not any(mine.overlaps(its) for mine in ranges(own) for its in ranges(shared))


def test_both_run_tasks_and_neither_sees_or_reaches_the_others(shared: Installation, own: Installation) -> None:
    web = {side: side.running(HTTPD, fargate=True) for side in (shared, own)}
    bridged = {side: side.running(FOREVER) for side in (shared, own)}
    for side, other in ((shared, own), (own, shared)):
        address = address_of(web[side])
        assert served(address, 8080)
        arns = side.ecs.list_tasks()["taskArns"]
        assert web[side]["taskArn"] in arns
        assert web[other]["taskArn"] not in arns
        assert "HTTP" in "".join(side.output(fetch(f"{address} 8080"), fargate=True))
        for how in ({"fargate": True}, {}, {"network": "awsvpc"}):
            assert "HTTP" not in "".join(other.output(fetch(f"{address} 8080", patience_s=1), **how))
    for tasks in (web, bridged):
        for side, task in tasks.items():
            side.stopped(task)


def test_the_key_of_one_does_not_open_the_other(shared: Installation, own: Installation) -> None:
    stranger = Installation(own.home)
    stranger.key = shared.key  # type: ignore[method-assign]  # the wrong key on purpose
    with pytest.raises(ClientError) as refused:
        stranger.ecs.list_clusters()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
