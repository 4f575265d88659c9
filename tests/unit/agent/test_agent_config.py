"""Where an agent finds what it is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from moorage.base.ids import AccountId, Region
from moorage.boot.agent import main
from moorage.boot.agent_config import config_from_file, config_from_home
from moorage.model.installation import NodeSettings, Settings

REGION = Region("us-east-1")


def home_of(directory: Path, *nodes: NodeSettings) -> Path:
    settings = Settings(
        id="a9e17e57",
        account=AccountId("123456789012"),
        regions=(REGION,),
        host="0.0.0.0",
        port=8780,
        vpc_cidr="10.1.0.0/16",
        nodes=nodes,
    )
    (directory / "installation.json").write_bytes(msgspec.json.encode(settings))
    return directory


def test_a_host_of_the_fleet_isolates_its_tasks_and_serves_any_zone(tmp_path: Path) -> None:
    fleet = NodeSettings(name="fargate", fleet=True, region=REGION, cpu=4, memory=5, bridge_cidr="10.2.0.0/20")
    config = config_from_home(home_of(tmp_path, fleet), "fargate")
    assert (config.cluster, config.zone, config.isolation) == ("moorage-fargate", None, "userns")
    assert config.total().ports_tcp == ()
    assert config.node().isolations == ("userns",)
    gvisor = msgspec.structs.replace(fleet, runtime="runsc")
    config = config_from_home(home_of(tmp_path, gvisor), "fargate")
    assert (config.node().runtime, config.node().isolations) == ("crun", ("runsc",))


def test_a_container_instance_keeps_the_apis_own_port_from_its_tasks(tmp_path: Path) -> None:
    node = NodeSettings(
        name="instance", fleet=False, region=REGION, zone="us-east-1a", cpu=4, memory=5, bridge_cidr="10.2.0.0/20"
    )
    config = config_from_home(home_of(tmp_path, node), "instance")
    assert config.endpoint == "http://127.0.0.1:8780"
    assert {22, 8780} <= set(config.total().ports_tcp)
    assert config.isolation == "namespaces"


def test_a_file_serves_other_machines(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    lines = [
        'installation = "a9e17e57"',
        'name = "rack-7"',
        'directory = "/var/lib/moorage/rack-7"',
        'images = "/var/lib/moorage/images"',
        'credentials = "/etc/moorage/credentials"',
        'endpoint = "https://moorage.example"',
        'region = "us-east-1"',
        'vpc_cidr = "10.1.0.0/16"',
        'bridge_cidr = "10.2.0.0/20"',
        "cpu = 8192",
        "memory = 16384",
    ]
    file.write_text("\n".join(lines))
    assert config_from_file(file).cluster == "default"
    file.write_text("\n".join([*lines, "colour = 1"]))
    with pytest.raises(msgspec.ValidationError, match="colour"):
        config_from_file(file)


def test_an_unknown_node_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no node typo"):
        main(["--home", str(home_of(tmp_path)), "--node", "typo"])
