"""`moor exec`: a command in a running container, on this terminal. A client of ExecuteCommand, as `aws` is one.

It does itself what `aws ecs execute-command` starts `session-manager-plugin` for, and ends with the command's own
exit code, which that plugin is never told.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import termios
import threading
import time
import tty
import uuid
from collections.abc import Iterator
from typing import Any, Final

import click
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from moorage import __version__
from moorage.cli.client import Api
from moorage.cli.home import Home
from moorage.cli.output import told_plainly
from moorage.cli.tasks import find
from moorage.wire import data_channel as channel
from moorage.wire.data_channel import PayloadType
from moorage.wire.data_stream import DataStream

# Of what is typed or pasted, in one message; the published client's number.
KEYS_MAX_BYTES: Final = 1024
TICK_S: Final = 0.25  # between two looks for what has to be sent again
END_OF_FILE: Final = b"\x04"  # what a terminal takes for the end of its input
# As shells have it: the command could not be run, or was ended.
NOT_RUN: Final = 126


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("task")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--container", "-c", help="Which of the task's containers. [default: the only one]")
@click.option("--cluster", help="Where the task is. [default: looked for]")
def execute(task: str, command: tuple[str, ...], container: str | None, cluster: str | None) -> None:
    """Run COMMAND in a container of TASK (an id, its beginning, or an ARN), on this terminal.

    The task must have been run with execute command enabled: `moor run --exec`. Put -- before a COMMAND with options
    of its own.
    """
    api = Api(Home.chosen())
    with told_plainly():
        found = find(api, task, cluster)
        request = {"cluster": found["clusterArn"], "task": found["taskArn"], "command": shlex.join(command)}
        if container is not None:
            request["container"] = container
        session = api.ecs.execute_command(**request, interactive=True)["session"]
    try:
        with _raw_terminal():
            code, said = asyncio.run(_Session().run(session))
    except (OSError, InvalidHandshake, channel.BadFrame, msgspec.DecodeError) as error:
        raise click.ClickException(f"the session has failed: {error}") from error
    if said:
        click.echo(said, err=True)
    sys.exit(NOT_RUN if code is None else code)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the command; what is no terminal stays as it is."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


class _Session:
    """One session, from its token to the server's last word."""

    def __init__(self) -> None:
        self._stream = DataStream("input_stream_data", lambda: str(uuid.uuid4()))
        self._keys: asyncio.Queue[tuple[PayloadType, bytes]] = asyncio.Queue(maxsize=16)
        self._room = asyncio.Condition()
        self._ready = asyncio.Event()
        self._code: int | None = None
        self._said = "The session has ended without a word from the server."

    async def run(self, session: dict[str, Any]) -> tuple[int | None, str]:
        """The command's exit code, where it has one, and what the server says of the end."""
        opening = channel.OpenDataChannel(
            message_schema_version="1.0",
            request_id=str(uuid.uuid4()),
            token_value=session["tokenValue"],
            client_id=str(uuid.uuid4()),
            client_version=__version__,
            wants_exit_code=True,
        )
        async with connect(session["streamUrl"], compression=None, proxy=None) as socket:
            await socket.send(msgspec.json.encode(opening).decode())
            helpers = [asyncio.create_task(work) for work in (self._speak(socket), self._tick(socket))]
            try:
                with contextlib.suppress(ConnectionClosed):
                    await self._hear(socket)
            finally:
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
        return self._code, self._said

    async def _hear(self, socket: ClientConnection) -> None:
        """Until the server closes the channel."""
        async for message in socket:
            if isinstance(message, str):
                continue  # the server says nothing in text
            frame = self._stream.receive(message, _now_ms())
            if frame is not None and frame.kind == "channel_closed":
                self._said = msgspec.json.decode(frame.payload, type=channel.ChannelClosed).output or ""
                return
            if frame is not None:
                self._take(frame)
            await self._flush(socket)
            async with self._room:
                self._room.notify_all()

    def _take(self, frame: channel.Frame) -> None:
        if frame.payload_type == PayloadType.HANDSHAKE_REQUEST:
            request = msgspec.json.decode(frame.payload, type=channel.HandshakeRequest)
            done = tuple(
                channel.ProcessedAction(action_type=one.action_type, action_status=1)
                for one in request.requested_client_actions
            )
            answer = channel.HandshakeResponse(client_version=__version__, processed_client_actions=done)
            self._put(PayloadType.HANDSHAKE_RESPONSE, msgspec.json.encode(answer))
        elif frame.payload_type == PayloadType.HANDSHAKE_COMPLETE:
            self._begin()
        elif frame.payload_type == PayloadType.EXIT_CODE:
            self._code = int(frame.payload)
        elif frame.payload_type in (PayloadType.OUTPUT, PayloadType.STDERR):
            sys.stdout.buffer.write(frame.payload)
            sys.stdout.buffer.flush()

    def _begin(self) -> None:
        """This terminal is the command's from now on."""
        if sys.stdout.isatty():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGWINCH, self._tell_size)
            self._tell_size()
        threading.Thread(target=self._read_keys, args=(asyncio.get_running_loop(),), daemon=True).start()

    def _tell_size(self) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        told = channel.Size(cols=size.columns, rows=size.lines)
        self._put(PayloadType.SIZE, msgspec.json.encode(told))

    def _put(self, payload_type: PayloadType, payload: bytes) -> None:
        self._stream.send(payload_type, payload, time.monotonic(), _now_ms())

    def _read_keys(self, loop: asyncio.AbstractEventLoop) -> None:
        """A thread of its own, because not everything that may be standard input can be waited for otherwise."""
        end = END_OF_FILE
        while True:
            keys = os.read(0, KEYS_MAX_BYTES)
            putting = self._keys.put((PayloadType.OUTPUT, keys or end))
            # In the middle of a line the first one only hands over what there is of it.
            end = END_OF_FILE if keys.endswith(b"\n") else END_OF_FILE * 2
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except RuntimeError:  # the loop is closed: the session was over before this key
                putting.close()
                return
            if not keys:
                return

    async def _speak(self, socket: ClientConnection) -> None:
        """What is typed, as fast as the other end takes it."""
        while True:
            payload_type, payload = await self._keys.get()
            async with self._room:
                await self._room.wait_for(lambda: self._stream.room > 0)
            self._put(payload_type, payload)
            await self._flush(socket)

    async def _tick(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._stream.resend(time.monotonic())
            await self._flush(socket)

    async def _flush(self, socket: ClientConnection) -> None:
        for message in self._stream.take():
            await socket.send(message)


def _now_ms() -> int:
    return int(time.time() * 1000)
