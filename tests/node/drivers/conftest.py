"""One node for all tests of a file, closed at the end, with nothing of it left."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.agent.drivers.node import NodeConfig
from moorage.agent.spec import RootImage

from . import host as hosts
from .host import Host, make_image, traces

_numbers = itertools.count(10)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and "host" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> RootImage:
    return make_image(tmp_path_factory.mktemp("busybox") / "layer")


@pytest.fixture(scope="module")
def file_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the node's settings give to the file system fs-12345678."""
    top = tmp_path_factory.mktemp("efs")
    (top / "projects").mkdir()
    (top / "leaves").symlink_to("/etc")
    return top


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, file_system: Path) -> NodeConfig:
    return NodeConfig(
        installation=secrets.token_hex(4),
        agent="instance",
        directory=str(tmp_path_factory.mktemp("node") / "node"),
        vpc_cidr=hosts.VPC,
        private_cidr=hosts.PRIVATE,
        isolations=("namespaces", "userns", "runsc"),
        file_systems=(("fs-12345678", str(file_system)),),
    )


@pytest.fixture(scope="module")
def host(config: NodeConfig, image: RootImage) -> Iterator[Host]:
    host = Host(config, image)
    yield host
    host.node.close()
    left = {kind: things for kind, things in traces(config).items() if things}
    assert not left, f"the closed node left {left}"


@pytest.fixture
def number() -> int:
    """Of a sandbox that no other test has."""
    return next(_numbers)
