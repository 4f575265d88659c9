"""ECS Exec on the node: a websocket to the control plane and a terminal in a container, for each session.

The control plane tells of a session on the ACS connection; everything else goes over the session's own websocket. A
session ends with its program, its container, its websocket or the agent, whichever ends first, and leaves nothing.
It changes nothing in its task's life, so the machine does not hear of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from moorage import __version__
from moorage.agent.background import Background
from moorage.agent.life import TaskLife
from moorage.agent.spec import ContainerId, DriverError, SandboxId
from moorage.base.clock import Clock
from moorage.link import acs, terminal
from moorage.wire.signer import Signer

log = logging.getLogger(__name__)

T = TypeVar("T")

HANDSHAKE_TIMEOUT_S: Final = 15.0  # the control plane waits no longer
# The control plane pings as well; this end learns by its own that the other machine is gone.
PING_S: Final = 20.0
# Read from a terminal at once: a screen or two, and a pipe's worth of a flood.
READ_MAX_BYTES: Final = 16 * 1024
MESSAGE_MAX_BYTES: Final = 256 * 1024  # what a caller pasted, at most a data channel's message
# Beginning and ending a terminal blocks for some milliseconds; more at once wait their turn.
THREADS: Final = 8


class Terminal(Protocol):
    """A program on a pty; see `drivers.terminals`."""

    fd: int
    ended: int

    def resize(self, cols: int, rows: int) -> None: ...

    def finish(self) -> tuple[int | None, str]: ...


class Node(Protocol):
    """What is needed of the node here."""

    def open_terminal(self, container: ContainerId, command: Sequence[str], cols: int, rows: int) -> Terminal: ...


class Terminals:
    """`open` begins a session; `close` ends them all."""

    def __init__(
        self, node: Node, tasks: Callable[[], Mapping[SandboxId, TaskLife]], line: Line, work: Background
    ) -> None:
        self._node = node
        self._tasks = tasks
        self._line = line
        self._work = work
        self._open: dict[str, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="terminal")

    def open(self, message: acs.MoorageExecMessage) -> None:
        """A session as the control plane tells of it; a new connection tells again of those that are open."""
        if message.session_id not in self._open:
            self._open[message.session_id] = self._work.spawn(self._serve(message))

    async def close(self) -> None:
        """End all sessions, and return when nothing of them runs."""
        for task in self._open.values():
            task.cancel()
        while self._open:
            await asyncio.wait(tuple(self._open.values()))
        self._threads.shutdown(wait=False)

    async def _serve(self, message: acs.MoorageExecMessage) -> None:
        name = message.session_id
        try:
            async with self._line.connect(name, message.container_instance_arn) as socket:
                log.info("%s: open", name)
                told = await self._converse(socket, message)
                await socket.send(terminal.encode(told))
            log.info("%s: %s", name, told)
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
            log.info("%s: %s", name, error)
        finally:
            del self._open[name]

    async def _converse(self, socket: ClientConnection, message: acs.MoorageExecMessage) -> terminal.TerminalEnded:
        container = self._running(message)
        if container is None:
            return terminal.TerminalEnded(exit_code=None, reason="The container does not run.")
        start = await _next(socket)
        if not isinstance(start, terminal.StartTerminal):
            return terminal.TerminalEnded(exit_code=None, reason="The session did not begin with StartTerminal.")
        try:
            opened = await self._begin(container, message.command, start)
        except DriverError as error:
            return terminal.TerminalEnded(exit_code=None, reason=error.reason)
        try:
            await _carry(socket, opened)
        finally:
            # Not to be cut short: a program that was started must be ended and reaped.
            code, said = await _whole(self._blocking(opened.finish))
        if code is None and not said:
            said = "The command was ended."
        return terminal.TerminalEnded(exit_code=code, reason=said)

    async def _begin(self, container: ContainerId, command: Sequence[str], start: terminal.StartTerminal) -> Terminal:
        """The program, running. Cancelled meanwhile, it is waited for and ended."""
        work = self._blocking(lambda: self._node.open_terminal(container, command, start.cols, start.rows))
        opening = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await self._blocking(opening.result().finish)
            raise

    def _running(self, message: acs.MoorageExecMessage) -> ContainerId | None:
        task = self._tasks().get(SandboxId(message.task_arn.rpartition("/")[2]))
        if task is None or task.plan.arn != message.task_arn:
            return None
        return next(
            (
                one.plan.spec.id
                for one in task.containers
                if one.plan.spec.name == message.container_name and one.phase == "running"
            ),
            None,
        )

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class Line:
    """The way to the control plane's end of a session."""

    def __init__(self, endpoint: str, signer: Signer, clock: Clock) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._signer = signer
        self._clock = clock

    def connect(self, session_id: str, instance: str) -> connect:
        """The session's websocket, signed as the agent's others are."""
        query = {"sessionId": session_id, "containerInstanceArn": instance}
        url = f"{self._endpoint}/exec/ws?{urlencode(query)}"
        headers = self._signer.headers("GET", url, headers={}, body=b"", now_s=self._clock.now_s())
        del headers["host"]  # the library sends it, from the same address
        return connect(
            url.replace("http", "ws", 1),
            additional_headers=headers,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=PING_S,
            max_size=MESSAGE_MAX_BYTES,
            compression=None,
            proxy=None,
            user_agent_header=f"Moorage Agent - v{__version__}",
        )


async def _next(socket: ClientConnection) -> terminal.Message | bytes | None:
    message = await socket.recv()
    return message if isinstance(message, bytes) else terminal.decode(message)


async def _carry(socket: ClientConnection, opened: Terminal) -> None:
    """Bytes in both directions until the program has ended; raises `ConnectionClosed` where the other end leaves."""
    over = asyncio.Event()
    ended = asyncio.create_task(_readable(opened.ended))
    showing = asyncio.create_task(_show(socket, opened.fd, over))
    typing = asyncio.create_task(_type(socket, opened))
    try:
        await asyncio.wait((ended, typing), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            typing.result()
            return
        over.set()
        await showing  # what it had still to say
    finally:
        for task in (ended, showing, typing):
            task.cancel()
        await asyncio.gather(ended, showing, typing, return_exceptions=True)


async def _show(socket: ClientConnection, fd: int, over: asyncio.Event) -> None:
    """What the terminal shows, to the control plane, as fast as that takes it."""
    while True:
        try:
            shown = os.read(fd, READ_MAX_BYTES)
        except BlockingIOError:
            if over.is_set():
                return  # something in the background may hold the terminal for ever
            await _first(_readable(fd), over.wait())
            continue
        except OSError:
            return  # EIO: nobody has the other end any more
        if not shown:
            return
        await socket.send(shown)


async def _type(socket: ClientConnection, opened: Terminal) -> None:
    """What the control plane sends, to the terminal, as fast as that takes it."""
    while True:
        message = await _next(socket)
        if isinstance(message, bytes):
            await _write(opened.fd, message)
        elif isinstance(message, terminal.ResizeTerminal):
            opened.resize(message.cols, message.rows)


async def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_writer(fd, _settle, ready)
            try:
                await ready
            finally:
                loop.remove_writer(fd)
        except OSError:
            return  # EIO: nobody reads any more


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def _first(*waits: Coroutine[None, None, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _whole(work: Coroutine[None, None, T]) -> T:
    """To its end, even where the session is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
