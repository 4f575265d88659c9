"""The agent's telemetry session: the TCS websocket of the published protocol, kept open for ever.

What is published is other modules' business: each hands in a `Publisher`, which is asked for its messages at every
tick, and between ticks when somebody calls `wake`. Nothing is kept for later: what a broken connection lost, the next
round tells anew, because every round tells the whole of what is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from moorage import __version__
from moorage.agent.api import ApiRefused, EcsApi
from moorage.base.clock import Clock
from moorage.base.dice import Dice, below
from moorage.base.errors import Unavailable
from moorage.link import acs, tcs
from moorage.wire.signer import Signer

log = logging.getLogger(__name__)

# The numbers of the published agent.
HANDSHAKE_TIMEOUT_S: Final = 30.0
TICK_S: Final = 20.0
SILENCE_S: Final = 60.0  # and up to as much again without a word from the server end the connection
AGE_S: Final = 30 * 60.0
AGE_SPREAD_S: Final = 5 * 60.0
BACKOFF_MIN_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
# Wakings within this long become one round: a task's containers change together.
SETTLE_S: Final = 0.2
FRAME_MAX_BYTES: Final = 1 << 20

Publisher = Callable[[str, str], Sequence[tcs.AgentMessage]]
"""Messages for the cluster and the container instance of these names, at this moment."""


class Telemetry:
    """`run` keeps a connection; `wake` asks for a round before the next tick."""

    def __init__(
        self, *, ecs: EcsApi, signer: Signer, clock: Clock, dice: Dice, publishers: Sequence[Publisher]
    ) -> None:
        self._ecs = ecs
        self._signer = signer
        self._clock = clock
        self._dice = dice
        self._publishers = publishers
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something changed that should not wait for the tick."""
        self._woken.set()

    async def run(self, cluster: str, instance: str) -> None:
        """Until cancelled. Whether the instance still counts is the other session's to find out."""
        wait_s = BACKOFF_MIN_S
        while True:
            began_s = self._clock.steady_s()
            await self._attempt(cluster, instance)
            if self._clock.steady_s() - began_s >= SILENCE_S:
                wait_s = BACKOFF_MIN_S
            await asyncio.sleep(wait_s * (1 + 0.2 * below(self._dice, 1000) / 1000))
            wait_s = min(wait_s * 2, BACKOFF_MAX_S)

    async def _attempt(self, cluster: str, instance: str) -> None:
        """One connection, from its handshake to its end."""
        try:
            endpoints = await self._ecs.discover(cluster, instance)
            if endpoints.telemetry_endpoint is None:
                log.warning("telemetry: the control plane names no endpoint")
                return
            query = {
                "agentHash": "moorage",
                "agentVersion": __version__,
                "cluster": cluster,
                "containerInstance": instance,
                "dockerVersion": "0.0.0",
            }
            url = f"{endpoints.telemetry_endpoint.rstrip('/')}/ws?{urlencode(query)}"
            async with self._connect(url) as socket:
                await self._converse(socket, url, cluster, instance)
        except (ApiRefused, Unavailable, OSError, TimeoutError, InvalidHandshake) as error:
            log.info("telemetry: %s", error)
        except ConnectionClosed as closed:
            log.info("telemetry closed: %s", closed)

    def _connect(self, url: str) -> connect:
        headers = self._signed(url)
        del headers["host"]  # the library sends it, from the same address
        return connect(
            url.replace("http", "ws", 1),
            additional_headers=headers,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=None,  # the protocol has heartbeats of its own
            max_size=FRAME_MAX_BYTES,
            compression=None,
            proxy=None,
            user_agent_header=f"Moorage Agent - v{__version__}",
        )

    def _signed(self, url: str) -> dict[str, str]:
        return self._signer.headers("GET", url, headers={}, body=b"", now_s=self._clock.now_s())

    async def _converse(self, socket: ClientConnection, url: str, cluster: str, instance: str) -> None:
        speaker = asyncio.create_task(self._speak(socket, url, cluster, instance))
        ends_s = self._clock.steady_s() + AGE_S + AGE_SPREAD_S * below(self._dice, 1000) / 1000
        try:
            while self._clock.steady_s() < ends_s and not speaker.done():
                async with asyncio.timeout(SILENCE_S + SILENCE_S * below(self._dice, 1000) / 1000):
                    message = _read(await socket.recv())
                if isinstance(message, tcs.StopTelemetrySessionMessage):
                    log.info("telemetry: told to stop: %s", message.message)
                    return
        finally:
            speaker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaker  # a publisher that failed is a bug: raised here, where the background sees it
        await socket.close(1000, "ConnectionExpired: Reconnect to continue")

    async def _speak(self, socket: ClientConnection, url: str, cluster: str, instance: str) -> None:
        """A round at once, then one with each tick or waking."""
        try:
            while True:
                self._woken.clear()
                for publisher in self._publishers:
                    for message in publisher(cluster, instance):
                        await socket.send(self._frame(url, message))
                try:
                    await asyncio.wait_for(self._woken.wait(), TICK_S)
                except TimeoutError:
                    continue
                await asyncio.sleep(SETTLE_S)
        except ConnectionClosed:
            return  # the listener sees it as well, and says why

    def _frame(self, url: str, message: tcs.AgentMessage) -> str:
        """As the protocol has it: a block of signed headers before the envelope."""
        signed = self._signed(url)
        lines = [
            f"GET {urlsplit(url).path} HTTP/1.1",
            *(f"{name.title()}: {value}" for name, value in signed.items()),
        ]
        return "\r\n".join((*lines, "", tcs.encode(message)))


def _read(text: str | bytes) -> tcs.Message | None:
    try:
        return tcs.decode(text if isinstance(text, str) else text.decode())
    except (acs.BadFrame, UnicodeDecodeError) as error:
        log.error("telemetry: a message that cannot be read: %s", error)
        return None
