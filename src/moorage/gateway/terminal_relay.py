"""One session of ECS Exec while it is open: the caller's data channel on one side, the node's socket on the other.

The caller speaks the protocol of `session-manager-plugin` (`wire.data_channel`), the node plain bytes
(`link.terminal`). Neither is kept waiting for good by the other: towards the caller the stream's window bounds what
is under way, and the node then has to wait; towards the node a short queue does, and what does not fit is left
unacknowledged, for the caller to send again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from moorage import __version__
from moorage.base.clock import Clock
from moorage.link import terminal
from moorage.link.acs import BadFrame as BadMessage
from moorage.wire import data_channel as channel
from moorage.wire.data_channel import PayloadType, Size
from moorage.wire.data_stream import PIECE_MAX_BYTES, DataStream
from moorage.wire.http import WebSocket

# An agent that is connected hears of the session at once and connects within a round trip or two.
NODE_WITHIN_S: Final = 15.0
HANDSHAKE_WITHIN_S: Final = 30.0
# Clients tell the size of their terminal first of all; programs that look at it should find the right one.
SIZE_WITHIN_S: Final = 1.0
DEFAULT_SIZE: Final = Size(cols=80, rows=24)
SIDE_MAX: Final = 10_000  # characters; a kernel takes 65,535, no screen comes near
# ECS's own.
IDLE_S: Final = 20 * 60.0
# How often unacknowledged messages and idleness are looked at.
TICK_S: Final = 0.25
# What a caller gets to acknowledge the last words; one that is slower has its output cut.
SETTLE_WITHIN_S: Final = 10.0
# Input on its way to the node; some 64 messages of a client, or one large one.
INPUT_MAX_BYTES: Final = 64 * 1024
# How long a message waits for room in that queue before it is left unacknowledged.
INPUT_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended. `output` is what the caller is told, beside what the terminal showed."""

    output: str = ""
    exit_code: int | None = None
    caller_left: bool = False


class Relay:
    """`run` is the session from its opening to its end; `attach` hands over the node's socket."""

    def __init__(
        self, session_id: str, caller: WebSocket, clock: Clock, new_id: Callable[[], str], *, wants_exit_code: bool
    ) -> None:
        self._session_id = session_id
        self._caller = caller
        self._clock = clock
        self._new_id = new_id
        self._wants_exit_code = wants_exit_code
        self._stream = DataStream("output_stream_data", new_id)
        self._node: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._input: deque[str | bytes] = deque()
        self._input_bytes = 0
        self._size: Size | None = None
        self._refused_input = False
        self._answered = False
        self._started = False
        self._changed = asyncio.Condition()  # any of the above, and the stream
        self._began_s = self._active_s = clock.steady_s()

    @property
    def attached(self) -> bool:
        return self._node.done()

    async def attach(self, node: WebSocket) -> None:
        """The node's side of the conversation; returns when the session is over."""
        if not self._node.done():
            self._node.set_result(node)
            await self._over.wait()

    async def run(self) -> None:
        """Until the command has ended, the caller or the node has left, or nobody has said anything for too long."""
        hearing = asyncio.create_task(self._hear())
        ticking = asyncio.create_task(self._tick())
        try:
            ending = await _first(self._serve(), hearing, ticking)
            if not ending.caller_left:
                with contextlib.suppress(ConnectionError):
                    await self._part(ending, hearing)
        finally:
            self._over.set()
            await _cancelled(hearing, ticking)

    # ---- what the caller says -----------------------------------------------------------------------------

    async def _hear(self) -> Ending:
        while (message := await self._caller.receive_any()) is not None:
            if isinstance(message, str):
                continue  # the published client says nothing in text after its first message
            accept = await self._has_room()
            try:
                frame = self._stream.receive(message, self._now_ms(), accept=accept)
                if frame is not None:
                    self._take(frame)
            except (channel.BadFrame, msgspec.DecodeError, UnicodeDecodeError) as error:
                return Ending(output=f"The client sent what cannot be read: {error}")
            await self._flush()
            await self._tell()
        return Ending(caller_left=True)

    async def _has_room(self) -> bool:
        """Whether more input may be taken. Waiting a moment first makes one that pastes much as slow as its
        reader; waiting for good would keep its acknowledgements, and so the output, waiting as well."""
        if self._input_bytes >= INPUT_MAX_BYTES and not self._refused_input:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._until(lambda: self._input_bytes < INPUT_MAX_BYTES), INPUT_WAIT_S)
        self._refused_input = self._input_bytes >= INPUT_MAX_BYTES
        return not self._refused_input

    def _take(self, frame: channel.Frame) -> None:
        if frame.kind != "input_stream_data":
            return  # pauses and the like, which have no meaning here
        self._active_s = self._clock.steady_s()
        if frame.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            self._answered = True
        elif frame.payload_type == PayloadType.SIZE:
            self._resize(msgspec.json.decode(frame.payload, type=Size))
        elif frame.payload_type == PayloadType.OUTPUT:
            self._input.append(frame.payload)
            self._input_bytes += len(frame.payload)

    def _resize(self, size: Size) -> None:
        if not (0 < size.cols <= SIDE_MAX and 0 < size.rows <= SIDE_MAX):
            return  # a client without a terminal may say anything
        self._size = size
        if self._started:
            self._input.append(terminal.encode(terminal.ResizeTerminal(cols=size.cols, rows=size.rows)))

    # ---- what the node says -------------------------------------------------------------------------------

    async def _serve(self) -> Ending:
        """Greet the caller, have the node start, and carry what its terminal shows."""
        await self._send(PayloadType.HANDSHAKE_REQUEST, channel.handshake_request(__version__))
        await self._until(lambda: self._answered)
        node = await asyncio.shield(self._node)
        took_ns = int((self._clock.steady_s() - self._began_s) * 1e9)
        done = channel.HandshakeComplete(handshake_time_to_complete=took_ns)
        await self._send(PayloadType.HANDSHAKE_COMPLETE, msgspec.json.encode(done))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until(lambda: self._size is not None), SIZE_WITHIN_S)
        size = self._size or DEFAULT_SIZE
        self._started = True
        feeding = asyncio.create_task(self._feed(node))
        try:
            await node.send(terminal.encode(terminal.StartTerminal(cols=size.cols, rows=size.rows)))
            return await self._show(node)
        except ConnectionError:
            return Ending(output="The agent of the task's node is gone.")
        finally:
            await _cancelled(feeding)

    async def _show(self, node: WebSocket) -> Ending:
        while (message := await node.receive_any()) is not None:
            self._active_s = self._clock.steady_s()
            if isinstance(message, bytes):
                for start in range(0, len(message), PIECE_MAX_BYTES):
                    await self._send(PayloadType.OUTPUT, message[start : start + PIECE_MAX_BYTES])
                continue
            try:
                told = terminal.decode(message)
            except BadMessage as error:
                return Ending(output=f"The agent of the task's node sent what cannot be read: {error}")
            if isinstance(told, terminal.TerminalEnded):
                return Ending(output=told.reason, exit_code=told.exit_code)
        return Ending(output="The agent of the task's node is gone.")

    async def _feed(self, node: WebSocket) -> None:
        """What the caller types, to the node."""
        with contextlib.suppress(ConnectionError):  # who listens to the node sees that it left
            while True:
                await self._until(lambda: bool(self._input))
                message = self._input.popleft()
                if isinstance(message, str):
                    await node.send(message)
                    continue
                self._input_bytes -= len(message)
                await node.send_bytes(message)
                await self._tell()

    # ---- the stream ---------------------------------------------------------------------------------------

    async def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        """Into the stream, once there is room in its window."""
        await self._until(lambda: self._stream.room > 0)
        self._stream.send(payload_type, payload, self._clock.steady_s(), self._now_ms())
        await self._flush()

    async def _flush(self) -> None:
        for message in self._stream.take():
            await self._caller.send_bytes(message)

    async def _tick(self) -> Ending:
        """Until somebody is too late; what is unacknowledged goes again on the way."""
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._clock.steady_s()
            if not self._answered and now_s - self._began_s >= HANDSHAKE_WITHIN_S:
                return Ending(output="The client did not answer the handshake.")
            if not self.attached and now_s - self._began_s >= NODE_WITHIN_S:
                return Ending(output="The agent of the task's node did not answer. Try again later.")
            if now_s - self._active_s >= IDLE_S:
                return Ending(output=f"The session was idle for {IDLE_S / 60:.0f} minutes.")
            self._stream.resend(now_s)
            await self._flush()

    async def _part(self, ending: Ending, hearing: asyncio.Task[Ending]) -> None:
        """The last words, after all that was said before has arrived."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_either(self._say_last(ending), hearing), SETTLE_WITHIN_S)
        closed = channel.ChannelClosed(
            message_id=self._new_id(),
            created_date=datetime.fromtimestamp(self._clock.now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            destination_id=self._session_id,
            session_id=self._session_id,
            message_type="channel_closed",
            schema_version=channel.SCHEMA,
            output=ending.output,
        )
        self._stream.say("channel_closed", msgspec.json.encode(closed), self._now_ms())
        await self._flush()

    async def _say_last(self, ending: Ending) -> None:
        if self._wants_exit_code and ending.exit_code is not None:
            await self._send(PayloadType.EXIT_CODE, str(ending.exit_code).encode())
        await self._until(lambda: self._stream.settled)

    def _now_ms(self) -> int:
        return int(self._clock.now_s() * 1000)

    async def _until(self, true: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(true)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _first(serving: Coroutine[None, None, Ending], *others: asyncio.Task[Ending]) -> Ending:
    """The ending that comes first. A caller that left is one."""
    served = asyncio.create_task(serving)
    try:
        done, _ = await asyncio.wait([served, *others], return_when=asyncio.FIRST_COMPLETED)
        try:
            return next(one for one in (served, *others) if one in done).result()
        except ConnectionError:
            return Ending(caller_left=True)
    finally:
        await _cancelled(served)


async def _either(saying: Coroutine[None, None, None], hearing: asyncio.Task[Ending]) -> None:
    """Until all is said, or nobody listens."""
    said = asyncio.create_task(saying)
    try:
        await asyncio.wait([said, hearing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancelled(said)


async def _cancelled(*tasks: asyncio.Task[Ending] | asyncio.Task[None]) -> None:
    """They are over when this returns; that a socket was closed under them is no failure."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
