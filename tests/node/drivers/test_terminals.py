"""Terminals in running containers: what a person types and sees, and that nothing is left when somebody goes."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from moorage.agent.drivers.node import NodeConfig
from moorage.agent.drivers.terminals import Terminal
from moorage.agent.spec import ContainerId, DriverError, Isolation, RootImage

from .host import DEADLINE_S, PRIVATE, VPC, Host, container_id, traces, wait_for

EVERY = pytest.mark.parametrize("isolation", ["namespaces", "userns", "runsc"])


class Screen:
    """A terminal, and the person before it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.terminal.fd, text.encode())

    def wait_for(self, text: str) -> str:
        """What was shown up to `text` and with it; what comes after is left for the next look."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, f"no {text!r} on the screen: {self.shown!r}"
            self._look(0.1)
        seen, _, self.shown = self.shown.partition(text)
        return seen + text

    def until_ended(self) -> tuple[int | None, str]:
        wait_for("the program's end", lambda: bool(self._look(0) or _is_readable(self.terminal.ended, 0.01)))
        self._look(0)
        return self.terminal.finish()

    def _look(self, timeout_s: float) -> None:
        if not _is_readable(self.terminal.fd, timeout_s):
            return
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            self.shown += os.read(self.terminal.fd, 65_536).decode(errors="replace")


def _is_readable(fd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def opened(host: Host, container: ContainerId, *command: str) -> Screen:
    return Screen(host.node.open_terminal(container, command or ("/bin/sh",), 100, 33))


def waiting(host: Host, number: int, isolation: Isolation, **more: object) -> ContainerId:
    host.sandbox(number, "none" if isolation == "namespaces" else "awsvpc", isolation=isolation)
    container = host.start(number, "echo ready; trap '' HUP; sleep 1000 & wait", **more)
    host.wait_log(container, "ready")
    return container


@EVERY
def test_a_shell_shows_what_is_typed_and_answers(host: Host, number: int, isolation: Isolation) -> None:
    screen = opened(host, waiting(host, number, isolation, environment=(("WHO", "me"),)))
    screen.type("echo $WHO-$((6*7))-$TERM\n")
    screen.wait_for("echo $WHO")
    screen.wait_for("me-42-xterm\r\n")
    screen.type("exit 7\n")
    assert screen.until_ended() == (7, "")


@EVERY
def test_the_size_is_right_from_the_start_and_follows(host: Host, number: int, isolation: Isolation) -> None:
    container = waiting(host, number, isolation)
    first = opened(host, container, "stty", "size")
    assert first.wait_for("\r\n") == "33 100\r\n"
    assert first.until_ended() == (0, "")
    screen = opened(host, container)
    screen.type("echo on\n")
    screen.wait_for("on\r\n")
    screen.terminal.resize(123, 41)
    wait_for("the new size", lambda: _size_is(screen, "41 123"))
    screen.type("exit\n")
    screen.until_ended()


def _size_is(screen: Screen, size: str) -> bool:
    screen.type("stty size; echo done-$((1+1))\n")
    return size in screen.wait_for("done-2")


@EVERY
def test_control_c_interrupts_the_program_and_not_the_shell(host: Host, number: int, isolation: Isolation) -> None:
    screen = opened(host, waiting(host, number, isolation))
    interrupt(screen)
    screen.type("echo code=$?\n")
    screen.wait_for("code=130")
    screen.type("exit 5\n")
    assert screen.until_ended() == (5, "")


def interrupt(screen: Screen) -> None:
    """Have the shell run a program, and once that surely has the terminal, interrupt it."""
    screen.wait_for("# ")
    screen.type("echo go; cat\n")
    screen.wait_for("cat\r\ngo\r\n")
    screen.type("again\n")
    screen.wait_for("again\r\nagain\r\n")
    screen.type("\x03")
    screen.wait_for("^C")
    screen.wait_for("# ")  # the shell throws away what is typed before it is ready


@EVERY
def test_two_terminals_know_nothing_of_each_other(host: Host, number: int, isolation: Isolation) -> None:
    container = waiting(host, number, isolation)
    one, other = opened(host, container), opened(host, container)
    one.type("A=1; echo one\n")
    other.type("echo other$A\n")
    one.wait_for("one\r\n")
    other.wait_for("other\r\n")
    one.type("exit 1\n")
    assert one.until_ended()[0] == 1
    other.type("exit 2\n")
    assert other.until_ended()[0] == 2


@pytest.mark.parametrize("isolation", ["namespaces", "userns"])
def test_it_has_the_rights_of_the_container_and_no_more(host: Host, number: int, isolation: Isolation) -> None:
    host.sandbox(number, isolation=isolation)
    fields = "Cap(Inh|Prm|Eff|Bnd)|Seccomp:|NoNewPrivs|Uid|Gid|Groups"
    look = f"grep -E '^({fields})' /proc/self/status; cat /proc/self/cgroup; pwd"
    container = host.start(number, f"{look}; echo done; sleep 60", user="app", working_directory="/tmp")
    host.wait_log(container, "done")
    screen = opened(host, container, "/bin/sh", "-c", f"{look}; echo done")
    assert screen.wait_for("done").replace("\r", "") == host.log(container)
    screen.until_ended()


@EVERY
def test_a_program_that_is_not_there_is_named(host: Host, number: int, isolation: Isolation) -> None:
    container = waiting(host, number, isolation)
    try:
        screen = opened(host, container, "/no/such/program")
        code, said = screen.until_ended()
        said += screen.shown
        assert code not in (0, None)
    except DriverError as error:
        said = error.reason
    assert "/no/such/program" in said


def test_nothing_is_opened_where_nothing_runs(host: Host, number: int) -> None:
    host.sandbox(number, "none")
    with pytest.raises(DriverError, match="does not"):
        opened(host, container_id(number))
    container = host.start(number, "exit 0")
    host.wait_exit(container)
    with pytest.raises(DriverError, match="does not run"):
        opened(host, container)


@EVERY
def test_whoever_leaves_takes_the_program_along(host: Host, number: int, isolation: Isolation) -> None:
    container = waiting(host, number, isolation)
    screen = opened(host, container, "/bin/sh", "-c", "trap '' HUP; echo here; while true; do sleep 4321; done")
    screen.wait_for("here")
    assert screen.terminal.finish()[0] is None
    wait_for("the program to be gone", lambda: "4321" not in _processes(host, container))
    assert host.node.status(container).state == "running"


@EVERY
def test_the_containers_end_is_the_terminals(host: Host, number: int, isolation: Isolation) -> None:
    container = waiting(host, number, isolation)
    screen = opened(host, container)
    screen.type("echo here\n")
    screen.wait_for("here\r\n")
    host.node.remove_container(container)
    screen.until_ended()


def _processes(host: Host, container: ContainerId) -> str:
    return host.node.check_container(container, ("ps",), 20).output


CHILD = """
import sys, time
from tests.node.drivers.host import Host, container_id
from tests.node.drivers.test_terminals import Screen
from moorage.agent.drivers.node import Node, NodeConfig
import msgspec
config = msgspec.json.decode(sys.argv[1], type=NodeConfig)
node = Node.open(config)
command = ("/bin/sh", "-c", "trap '' HUP; echo here; while true; do sleep 4321; done")
screen = Screen(node.open_terminal(container_id(1), command, 80, 24))
screen.wait_for("here")
print("open", flush=True)
time.sleep(1000)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("runtime", ["crun", "runc", "runsc"])
def test_the_next_agent_ends_what_a_killed_one_had_open(tmp_path: Path, image: RootImage, runtime: str) -> None:
    config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="killed",
        directory=str(tmp_path / "node"),
        vpc_cidr=VPC,
        private_cidr=PRIVATE,
        runtime="runc" if runtime == "runc" else "crun",
        isolations=("runsc",) if runtime == "runsc" else ("namespaces",),
    )
    host = Host(config, image)
    try:
        container = waiting(host, 1, config.isolations[0])
        host.node.detach()
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, msgspec.json.encode(config).decode()], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        host = Host(config, image)
        wait_for("the program to be gone", lambda: "4321" not in _processes(host, container))
        assert host.node.status(container).state == "running"
    finally:
        host.node.close()
    assert not {kind: things for kind, things in traces(config).items() if things}


def test_runc_serves_a_terminal_as_crun_does(tmp_path: Path, image: RootImage) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    config = NodeConfig(
        installation=secrets.token_hex(4),
        agent="runc",
        directory=str(tmp_path / "node"),
        vpc_cidr=VPC,
        private_cidr=PRIVATE,
        runtime="runc",
        isolations=("namespaces", "userns"),
    )
    host = Host(config, image)
    try:
        for number, isolation in enumerate(config.isolations, 1):
            container = waiting(host, number, isolation)
            first = opened(host, container, "stty", "size")
            assert first.wait_for("\r\n") == "33 100\r\n"
            assert first.until_ended() == (0, "")
            screen = opened(host, container)
            interrupt(screen)
            screen.terminal.resize(123, 41)
            wait_for("the new size", lambda screen=screen: _size_is(screen, "41 123"))
            screen.type("exit 7\n")
            assert screen.until_ended() == (7, "")
    finally:
        host.node.close()
    assert not {kind: things for kind, things in traces(config).items() if things}
