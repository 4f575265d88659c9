"""Who may ask about whom."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from moorage.agent.facts import ContainerFacts
from moorage.agent.life import TaskLife, new_life
from moorage.agent.metadata.answer import Query
from moorage.agent.metadata.lookup import Lookup
from moorage.agent.spec import ContainerId, Interface, NetworkMode, SandboxId
from moorage.agent.usage import HostClock, Usage
from tests.unit.agent.world import plan

ENI = Interface(address="10.0.0.9", prefix_len=24, gateway="10.0.0.1", mac="0e:11:22:33:44:55")
BRIDGE_ADDRESS = "172.28.0.2"


class Node:
    """Knows the address of the one sandbox in bridge mode."""

    def sandbox_address(self, sandbox: SandboxId) -> str | None:
        return BRIDGE_ADDRESS if sandbox else None

    def times(self, container: ContainerId) -> tuple[float | None, float | None]:
        raise AssertionError(container)

    def usage(self, container: ContainerId) -> Usage | None:
        raise AssertionError(container)

    def clock(self) -> HostClock:
        raise AssertionError("nobody asks")

    def other_endpoints(self) -> tuple[int, ...]:
        return ()


def life(number: int, mode: NetworkMode, *ids: str) -> TaskLife:
    made = plan(number, *(True for _ in ids))
    parts = tuple(
        replace(part, facts=ContainerFacts(endpoint_id=id_)) for part, id_ in zip(made.containers, ids, strict=True)
    )
    interface = ENI if mode == "awsvpc" else None
    sandbox = replace(made.sandbox, network_mode=mode, interface=interface)
    return new_life(replace(made, containers=parts, sandbox=sandbox), number)


TASKS = {
    task.plan.id: task
    for task in (
        life(1, "awsvpc", "vpc-0", "vpc-1"),
        life(2, "bridge", "bridge-0"),
        life(3, "host", "host-0"),
        life(4, "none", "none-0"),
    )
}


def lookup() -> Lookup:
    return Lookup(lambda: TASKS, Node())


def ask(source: str = "", inside: str = "") -> Query:
    return Query(method="GET", path="/", source=source, inside=inside)


@pytest.mark.parametrize(
    ("endpoint_id", "own"),
    [
        ("vpc-0", ask("10.0.0.9")),
        ("vpc-1", ask("10.0.0.9")),
        ("bridge-0", ask(BRIDGE_ADDRESS)),
        ("host-0", ask("169.254.170.2")),
        ("none-0", ask("169.254.170.2", inside=f"{4:032x}")),
    ],
)
def test_a_container_is_known_from_where_its_task_asks_and_from_nowhere_else(endpoint_id: str, own: Query) -> None:
    everyone = [
        ask("10.0.0.9"),
        ask("10.0.0.8"),
        ask(BRIDGE_ADDRESS),
        ask("169.254.170.2"),
        ask("169.254.170.2", inside=f"{4:032x}"),
        ask("169.254.170.2", inside=f"{5:032x}"),
        ask("10.0.0.9", inside=f"{5:032x}"),
        ask(""),
    ]
    allowed = [query for query in everyone if lookup().container(endpoint_id, query) is not None]
    assert allowed == [own]


def test_each_container_of_a_task_has_its_own_id() -> None:
    found = lookup().container("vpc-1", ask("10.0.0.9"))
    assert found is not None
    assert found[1] == 1


def test_a_task_that_comes_later_is_found_and_one_that_went_is_not() -> None:
    tasks = dict(TASKS)
    found = Lookup(lambda: tasks, Node())
    assert found.container("late-0", ask(BRIDGE_ADDRESS)) is None
    late = life(9, "bridge", "late-0")
    tasks[late.plan.id] = late
    assert found.container("late-0", ask(BRIDGE_ADDRESS)) is not None
    del tasks[late.plan.id]
    assert found.container("late-0", ask(BRIDGE_ADDRESS)) is None


def test_only_a_task_with_an_interface_is_known_by_its_address() -> None:
    at = lookup().task_at(ask("10.0.0.9"))
    assert at is not None
    assert at.plan.id == f"{1:032x}"
    assert lookup().task_at(ask(BRIDGE_ADDRESS)) is None
    assert lookup().task_at(ask("10.0.0.9", inside=f"{4:032x}")) is None
