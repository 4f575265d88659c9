"""Health checks run inside a container, as its own process does, and cost nobody else anything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from moorage.agent.spec import DriverError, Isolation

from .host import Host, container_id, wait_for

EVERY = pytest.mark.parametrize("isolation", ["namespaces", "userns", "runsc"])


def shell(command: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", command)


@EVERY
def test_a_check_sees_what_the_container_sees(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation)
    container = host.start(number, "echo here > /tmp/mark; echo ready; sleep 60", environment=(("WHO", "me"),))
    host.wait_log(container, "ready")
    result = host.node.check_container(container, shell("cat /tmp/mark; echo $WHO; hostname; exit 3"), 20)
    assert (result.exit_code, result.output.split()) == (3, ["here", "me", f"task-{number}"])
    assert host.node.check_container(container, ("/bin/true",), 20).exit_code == 0


@pytest.mark.parametrize("isolation", ["namespaces", "userns"])
def test_a_check_has_the_rights_of_the_container_and_no_more(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation)
    fields = "Cap(Inh|Prm|Eff|Bnd)|Seccomp:|NoNewPrivs|Uid|Gid|Groups"
    look = f"grep -E '^({fields})' /proc/self/status; cat /proc/self/cgroup"
    container = host.start(number, f"{look}; echo done; sleep 60", user="app")
    host.wait_log(container, "done")
    own = host.log(container).replace("\ndone", "")
    assert "Seccomp:\t2" in own
    assert host.node.check_container(container, shell(look), 20).output.strip() == own


def test_a_check_counts_against_the_containers_limits(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "echo ready; sleep 60", memory_max_bytes=32 << 20)
    host.wait_log(container, "ready")
    greedy = ("awk", 'BEGIN{while(1) a[i++]=sprintf("%9999d",i)}')
    assert host.node.check_container(container, greedy, 20).exit_code != 0
    assert host.node.status(container).state == "running"


def test_a_check_that_hangs_is_ended_with_what_it_started(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 600")
    began = time.monotonic()
    result = host.node.check_container(container, shell("sleep 4321 & sleep 4321; echo no"), 0.5)
    assert time.monotonic() - began < 5
    assert (result.exit_code, result.output) == (None, "Health check exceeded timeout (0.5s)")
    wait_for("nothing of the check to be left", lambda: not list(_commands("4321")))


def test_what_a_check_leaves_in_the_background_is_not_waited_for(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 600")
    began = time.monotonic()
    assert host.node.check_container(container, shell("sleep 30 & echo fine"), 20).output.strip() == "fine"
    assert time.monotonic() - began < 10


def test_output_is_cut(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 600")
    result = host.node.check_container(container, shell("yes | head -c 1000000; exit 0"), 20)
    assert result.exit_code == 0
    assert len(result.output) == 4096


def test_a_program_that_is_not_there_fails_the_check(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    container = host.start(number, "sleep 600")
    result = host.node.check_container(container, ("/no/such/program",), 20)
    assert result.exit_code not in (0, None)
    assert "/no/such/program" in result.output


def test_nothing_is_checked_that_does_not_run(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError):
        host.node.check_container(container_id(number), ("/bin/true",), 20)
    container = host.start(number, "exit 0")
    host.wait_exit(container)
    assert host.node.check_container(container, ("/bin/true",), 20).exit_code != 0


def test_checks_go_on_after_the_agents_restart(host: Host, number: int) -> None:
    host.sandbox(number)
    container = host.start(number, "sleep 600")
    host.reopen()
    assert host.node.check_container(container, ("/bin/true",), 20).exit_code == 0


def _commands(word: str) -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if word in words:
            found.append(directory.name)
    return found
