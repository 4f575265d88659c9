"""What may be mapped in which network mode."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.unit.rules.drafts import a_part, refusal, registered


def _mapped(*mappings: Mapping[str, object], name: str = "app") -> dict[str, object]:
    return a_part(name=name, portMappings=list(mappings))


def test_a_bridge_port_without_a_host_port_is_dynamic() -> None:
    (mapping,) = registered(_mapped({"containerPort": 80})).containers[0].port_mappings
    assert (mapping.host_port, mapping.protocol) == (0, "tcp")


@pytest.mark.parametrize("mode", ["awsvpc", "host"])
def test_without_a_bridge_the_host_port_is_the_containers(mode: str) -> None:
    (mapping,) = registered(_mapped({"containerPort": 80}), networkMode=mode).containers[0].port_mappings
    assert mapping.host_port == 80
    assert refusal(_mapped({"containerPort": 80, "hostPort": 8080}), networkMode=mode) == (
        f"When networkMode={mode}, the host ports and container ports in port mappings must match."
    )


def test_a_task_without_network_maps_nothing() -> None:
    assert "not supported when networkMode=none" in refusal(_mapped({"containerPort": 80}), networkMode="none")


@pytest.mark.parametrize("port", [None, 0, -1, 65_536])
def test_container_ports_have_bounds(port: int | None) -> None:
    assert "container port must be between" in refusal(_mapped({"containerPort": port}))


def test_host_ports_have_bounds() -> None:
    assert "host port must be between" in refusal(_mapped({"containerPort": 80, "hostPort": 65_536}))


@pytest.mark.parametrize("port", [22, 2375, 2376, 51678, 51679, 51680])
def test_the_instances_own_ports_are_taken(port: int) -> None:
    assert "is reserved" in refusal(_mapped({"containerPort": port, "hostPort": port}))
    assert registered(_mapped({"containerPort": port}), networkMode="awsvpc")


def test_a_container_port_is_mapped_once_whatever_the_protocol() -> None:
    both = [{"containerPort": 53, "protocol": "tcp"}, {"containerPort": 53, "protocol": "udp"}]
    assert "53 is mapped more than once" in refusal(_mapped(*both))


def test_two_containers_do_not_share_a_host_port() -> None:
    one = {"containerPort": 80, "hostPort": 8080}
    assert "8080/tcp" in refusal(_mapped(one, name="one"), _mapped(one, name="two"))
    assert registered(_mapped(one, name="one"), _mapped(one | {"protocol": "udp"}, name="two"))


def test_a_task_has_at_most_a_hundred_static_ports() -> None:
    mappings = [{"containerPort": port, "hostPort": port} for port in range(1000, 1101)]
    assert registered(_mapped(*mappings[:100]))
    assert "at most 100" in refusal(_mapped(*mappings))


def test_an_unknown_protocol_is_refused() -> None:
    assert "'sctp'" in refusal(_mapped({"containerPort": 80, "protocol": "sctp"}))


@pytest.mark.parametrize("name", ["-web", "Web", "x" * 65, ""])
def test_port_names_are_small_words(name: str) -> None:
    assert "name has 1 to 64" in refusal(_mapped({"containerPort": 80, "name": name}))


def test_port_names_are_the_tasks() -> None:
    parts = [_mapped({"containerPort": port, "name": "web"}, name=f"app{port}") for port in (80, 81)]
    assert "'web' is used more than once" in refusal(*parts)


def test_an_application_protocol_is_known_and_named() -> None:
    assert registered(_mapped({"containerPort": 80, "name": "web", "appProtocol": "http2"}))
    assert "needs a name" in refusal(_mapped({"containerPort": 80, "appProtocol": "http"}))
    assert "'ftp'" in refusal(_mapped({"containerPort": 80, "name": "web", "appProtocol": "ftp"}))
