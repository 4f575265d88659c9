"""The agent's side of ECS Exec: a websocket for each session, a pty at its end; whatever ends, nothing is left."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection, serve

from moorage.agent.background import Background
from moorage.agent.life import new_life
from moorage.agent.spec import ContainerId, DriverError
from moorage.agent.terminals import Line, Terminals
from moorage.link import acs, terminal
from moorage.wire.signer import Signer

from .server import run, until
from .test_api_client import ARN, StillClock
from .world import plan

Talk = Callable[[ServerConnection], Awaitable[None]]
START: Final = terminal.encode(terminal.StartTerminal(cols=90, rows=20))


class LocalTerminal:
    """A program of this machine on a pty, in place of one in a container."""

    def __init__(self, command: Sequence[str]) -> None:
        self.fd, slave = pty.openpty()
        os.set_blocking(self.fd, False)
        self.process = subprocess.Popen(
            list(command), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.ended = os.pidfd_open(self.process.pid)
        self.sizes: list[tuple[int, int]] = []

    def resize(self, cols: int, rows: int) -> None:
        self.sizes.append((cols, rows))

    def finish(self) -> tuple[int | None, str]:
        os.close(self.fd)
        code = self.process.poll()
        self.process.kill()
        self.process.wait()
        os.close(self.ended)
        return code, ""


class LocalNode:
    """Opens terminals; remembers them."""

    def __init__(self, refusal: str = "") -> None:
        self.opened: list[LocalTerminal] = []
        self.sizes: list[tuple[int, int]] = []
        self.refusal = refusal

    def open_terminal(self, _: ContainerId, command: Sequence[str], cols: int, rows: int) -> LocalTerminal:
        if self.refusal:
            raise DriverError("CannotStartContainerError", self.refusal)
        self.sizes.append((cols, rows))
        self.opened.append(LocalTerminal(command))
        return self.opened[-1]


class Server:
    """The control plane's end; collects what the node says."""

    def __init__(self, said: Sequence[str | bytes] = (START,)) -> None:
        self.said = said
        self.heard: list[str | bytes] = []
        self.paths: list[str] = []
        self.socket: ServerConnection | None = None

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.socket = socket
        for message in self.said:
            await socket.send(message)
        async for message in socket:
            self.heard.append(message)

    @property
    def shown(self) -> bytes:
        return b"".join(one for one in self.heard if isinstance(one, bytes))

    @property
    def end(self) -> terminal.Message | None:
        return next((terminal.decode(one) for one in self.heard if isinstance(one, str)), None)


async def session(
    server: Server, node: LocalNode, command: tuple[str, ...], meanwhile: Callable[[Terminals], Awaitable[None]]
) -> None:
    """One session in a task whose container runs, until `meanwhile` has returned; then the agent closes."""
    task = new_life(plan(), 0)
    task.containers[0].phase = "running"
    async with serve(server.talk, "127.0.0.1", 0) as serving:
        port = next(iter(serving.sockets)).getsockname()[1]
        signer = Signer(access_key_id="AKIA", secret="s", region="us-east-1", service="ecs")
        line = Line(f"http://127.0.0.1:{port}", signer, StillClock())
        terminals = Terminals(node, lambda: {task.plan.id: task}, line, Background())
        message = acs.MoorageExecMessage(
            message_id="m",
            cluster_arn="c",
            container_instance_arn=ARN,
            session_id="s-1",
            task_arn=task.plan.arn,
            container_name=task.containers[0].plan.spec.name,
            command=command,
        )
        terminals.open(message)
        terminals.open(message)  # as a new connection to the control plane tells it
        await meanwhile(terminals)
        await terminals.close()
    for opened in node.opened:
        assert opened.process.returncode is not None


def test_what_the_program_shows_is_sent_and_its_code_last() -> None:
    server, node = Server(), LocalNode()

    async def ended(_: Terminals) -> None:
        await until(lambda: server.end is not None)

    command = ("/bin/sh", "-c", "seq 1 20000; exit 7")
    run(session(server, node, command, ended))
    assert server.shown == b"".join(b"%d\r\n" % n for n in range(1, 20001))
    assert server.end == terminal.TerminalEnded(exit_code=7, reason="")
    assert isinstance(server.heard[-1], str)
    assert node.sizes == [(90, 20)]
    assert server.paths == [
        f"/exec/ws?sessionId=s-1&containerInstanceArn={ARN.replace(':', '%3A').replace('/', '%2F')}"
    ]


def test_what_is_typed_reaches_the_program_and_so_does_a_new_size() -> None:
    resize = terminal.encode(terminal.ResizeTerminal(cols=7, rows=8))
    server, node = Server([START, b"one\n", resize, b"two\n"]), LocalNode()

    async def ended(_: Terminals) -> None:
        await until(lambda: server.end is not None)

    run(session(server, node, ("/bin/sh", "-c", 'stty -echo; read a; read b; echo "$b-$a"'), ended))
    assert b"two-one\r\n" in server.shown
    assert node.opened[0].sizes == [(7, 8)]


def test_a_background_program_that_holds_the_terminal_is_not_waited_for() -> None:
    server, node = Server(), LocalNode()

    async def ended(_: Terminals) -> None:
        await until(lambda: server.end is not None)

    run(session(server, node, ("/bin/sh", "-c", "trap '' HUP; sleep 3 & echo done"), ended))
    assert server.shown == b"done\r\n"
    assert server.end == terminal.TerminalEnded(exit_code=0, reason="")


def test_a_control_plane_that_leaves_ends_the_program() -> None:
    server, node = Server(), LocalNode()

    async def leave(_: Terminals) -> None:
        await until(lambda: bool(server.shown))
        assert server.socket is not None
        server.socket.transport.abort()
        await until(lambda: node.opened[0].process.returncode is not None)

    run(session(server, node, ("/bin/sh", "-c", "echo here; exec sleep 1000"), leave))


def test_an_agent_that_stops_ends_its_programs() -> None:
    server, node = Server(), LocalNode()

    async def begun(_: Terminals) -> None:
        await until(lambda: bool(server.shown))

    run(session(server, node, ("/bin/sh", "-c", "echo here; exec sleep 1000"), begun))


def test_an_agent_that_stops_while_a_program_begins_ends_it_too() -> None:
    server, node = Server(), LocalNode()

    async def asked(_: Terminals) -> None:
        await until(lambda: server.socket is not None)

    run(session(server, node, ("/bin/sleep", "1000"), asked))


def test_what_the_node_refuses_is_told() -> None:
    server, node = Server(), LocalNode("no pty is left")

    async def ended(_: Terminals) -> None:
        await until(lambda: server.end is not None)

    run(session(server, node, ("/bin/sh",), ended))
    assert server.end == terminal.TerminalEnded(exit_code=None, reason="no pty is left")
