"""A container starts, speaks, is signalled, ends and is removed."""

from __future__ import annotations

import select
from concurrent.futures import ThreadPoolExecutor

import pytest

from moorage.agent.spec import ContainerId, DriverError, RootImage

from .host import Host, container_id, sandbox_id


def test_a_container_runs_its_command_and_its_exit_code_is_known(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "echo out; echo err >&2; exit 7")
    ended = host.wait_exit(container)
    assert (ended.code, ended.oom_killed) == (7, False)
    assert sorted(host.log(container).split()) == ["err", "out"]


def test_the_end_of_a_container_is_told_at_once(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    host.node.take_exits()
    container = host.start(number, "exit 3")
    readable, _, _ = select.select([host.node.exits_fd()], [], [], 10)
    assert readable
    told = dict(host.node.take_exits())
    assert told[container].code == 3


def test_a_signal_reaches_the_process(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    host.wait_log(container, "ready")
    host.node.signal_container(container, "SIGTERM")
    assert host.wait_exit(container).code == 9


def test_a_process_that_ignores_the_stop_signal_is_killed(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    host.wait_log(container, "ready")
    host.node.signal_container(container, host.node.stop_signal(container))
    assert host.node.status(container).state == "running"
    host.node.signal_container(container, "KILL")
    assert host.wait_exit(container).code == 137


def test_the_image_names_its_stop_signal(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    usual = host.image
    host.image = RootImage(digest="x", layers=usual.layers, stop_signal="SIGQUIT")
    try:
        container = host.start(number, "sleep 60")
    finally:
        host.image = usual
    assert host.node.stop_signal(container) == 3


def test_starting_twice_is_starting_once(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    first = host.started(number, ("sleep", "60"))
    assert host.started(number, ("sleep", "60")) == first
    assert host.sandbox(number, "none").id == sandbox_id(number)


def test_containers_of_one_sandbox_share_its_network(host: Host, number: int) -> None:
    host.sandbox(number)
    host.start(number, "echo from-the-first > /tmp/index.html; httpd -f -p 8000 -h /tmp", 0)
    second = host.start(number, "until nc 127.0.0.1 8000 </dev/null; do sleep 0.05; done; echo connected", 1)
    host.wait_log(second, "connected")


def test_a_removed_container_is_absent_and_may_be_removed_again(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 60")
    for _ in range(2):
        host.node.remove_container(container)
        assert host.node.status(container).state == "absent"
    host.node.remove_sandbox(sandbox_id(number))
    assert sandbox_id(number) not in {each.id for each in host.node.list_sandboxes()}


def test_removing_a_sandbox_removes_its_running_containers(host: Host, number: int) -> None:
    host.sandbox(number)
    pids = [host.started(number, ("sleep", "60"), index).pid for index in range(2)]
    host.node.remove_sandbox(sandbox_id(number))
    assert all(host.node.status(container_id(number, index)).state == "absent" for index in range(2))
    assert None not in pids


def test_a_command_that_is_not_in_the_image_is_named(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError) as refused:
        host.started(number, ("no-such-program", "x"))
    assert refused.value.kind == "CannotStartContainerError"
    assert "no-such-program" in refused.value.reason
    assert host.node.status(container_id(number)).state == "absent"


def test_an_unknown_user_is_named(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="unable to find user nobody-here"):
        host.start(number, "true", user="nobody-here")


def test_a_missing_layer_is_named(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    usual = host.image
    host.image = RootImage(digest="x", layers=("/no/such/layer",), command=("sh",))
    try:
        with pytest.raises(DriverError, match="/no/such/layer"):
            host.start(number, "true")
    finally:
        host.image = usual


def test_a_container_needs_its_sandbox(host: Host, number: int) -> None:
    with pytest.raises(DriverError, match=r"sandbox .* does not exist"):
        host.start(number, "true")


def test_user_directory_environment_and_hostname_are_as_asked(host: Host, number: int) -> None:
    host.sandbox(number)
    container = host.start(
        number,
        "id -u; id -g; id -G; pwd; hostname; echo $GREETING $EXTRA $HOME; cat /etc/resolv.conf",
        user="app",
        working_directory="/srv/new",
        environment=(("EXTRA", "a b"),),
    )
    assert host.output(container).splitlines() == [
        "1000",
        "1000",
        "1000 2000",
        "/srv/new",
        f"task-{number}",
        "hello a b /home/app",
        "search example.internal",
        "nameserver 10.213.0.2",
    ]


def test_an_init_process_reaps_and_forwards(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "cat /proc/1/comm; exit 4", init=True)
    assert host.wait_exit(container).code == 4
    assert host.log(container) == "init"


def test_many_threads_launch_at_once(host: Host) -> None:
    numbers = range(200, 216)

    def launch(number: int) -> ContainerId:
        host.sandbox(number)
        return host.start(number, "sleep 60")

    with ThreadPoolExecutor(8) as pool:
        containers = list(pool.map(launch, numbers))
    assert {host.node.status(each).state for each in containers} == {"running"}
    for number in numbers:
        host.node.remove_sandbox(sandbox_id(number))
    assert not {each.id for each in host.node.list_sandboxes()} & {sandbox_id(number) for number in numbers}
