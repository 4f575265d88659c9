"""A container that ended is run once more: the same files, the same log, another process."""

from __future__ import annotations

import pytest

from moorage.agent.spec import ContainerSpec, DriverError, Isolation

from .host import Host, container_id, sandbox_id, wait_for

COUNTING = "echo x >> /var-count; echo run $(grep -c x /var-count); exit $(grep -c x /var-count)"


def spec(number: int, command: str) -> ContainerSpec:
    return ContainerSpec(
        id=container_id(number), sandbox=sandbox_id(number), name="c0", image="busybox", command=("sh", "-c", command)
    )


@pytest.mark.parametrize("isolation", ["namespaces", "userns", "runsc"])
def test_it_keeps_its_files_and_its_log(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation)
    container = host.start(number, COUNTING)
    assert host.wait_exit(container).code == 1
    for run in (2, 3):
        host.node.restart_container(spec(number, COUNTING), host.image)
        assert host.wait_exit(container).code == run
    assert host.log(container).splitlines() == ["run 1", "run 2", "run 3"]


def test_each_end_is_told(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, COUNTING)
    told: list[int | None] = []

    def take() -> int:
        told.extend(exit_.code for id_, exit_ in host.node.take_exits() if id_ == container)
        return len(told)

    wait_for("the first end", lambda: take() == 1)
    host.node.restart_container(spec(number, COUNTING), host.image)
    wait_for("the second end", lambda: take() == 2)
    assert told == [1, 2]


def test_one_that_runs_again_is_left_in_peace(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    command = "test -e /again && exec sleep 600; touch /again"
    container = host.start(number, command)
    host.wait_exit(container)
    first = host.node.restart_container(spec(number, command), host.image)
    assert first.state == "running"
    assert host.node.restart_container(spec(number, command), host.image) == first


def test_a_restart_that_a_crash_cut_short_is_finished(host: Host, number: int) -> None:
    host.sandbox(number)
    container = host.start(number, COUNTING)
    assert host.wait_exit(container).code == 1
    (host.node.log_path(container).parent / "launched.json").unlink()
    host.reopen()
    assert host.node.status(container).state == "created"
    host.node.restart_container(spec(number, COUNTING), host.image)
    wait_for("its next end", lambda: _code(host, number) == 2)


def test_a_container_that_is_gone_cannot_be_run_again(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="gone"):
        host.node.restart_container(spec(number, "true"), host.image)


def _code(host: Host, number: int) -> int | None:
    status = host.node.status(container_id(number))
    return status.exit.code if status.exit else None
