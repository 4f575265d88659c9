"""The agent's session with the control plane: the ACS websocket of the published protocol, kept open for ever.

What arrives becomes events for the machine; what the machine answers goes out on the connection that is open then. An
answer meant for a connection that has ended is dropped: the next session begins by telling everything again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from moorage import __version__
from moorage.agent import events as on
from moorage.agent.api import ApiRefused, EcsApi
from moorage.agent.hearing import event_of
from moorage.agent.payload import NodeTraits
from moorage.base.clock import Clock
from moorage.base.dice import Dice, below
from moorage.base.errors import Unavailable
from moorage.link import acs
from moorage.link.refusal import parse as parse_refusal
from moorage.wire.signer import Signer

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S: Final = 30.0
# The published agent's watchdog: 60 s and up to 60 s more without an application message end the connection.
SILENCE_S: Final = 60.0
# Its connections live for 30 to 35 minutes, so that a fleet spreads anew over the servers behind an address.
AGE_S: Final = 30 * 60.0
AGE_SPREAD_S: Final = 5 * 60.0
# Its back-off, except that ours stops at 5 s: our control plane has no million agents to be protected from.
BACKOFF_MIN_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
BACKOFF_FACTOR: Final = 1.5
JITTER: Final = 0.2
# After an end that is part of the protocol's life there is no back-off; this much keeps a loop from running hot.
RECONNECT_S: Final = 0.05
# After InactiveInstanceException: somebody deregistered this instance on purpose.
INACTIVE_WAIT_S: Final = 3_600.0
FRAME_MAX_BYTES: Final = 16 << 20  # a payload carries whole task definitions: 64 KiB each, some hundred of them
# As the protocol's answers are small, more than this unsent means that nobody reads at the other end.
OUTBOX_MAX: Final = 10_000


class Unregistered(Exception):
    """The control plane does not know this container instance: register again."""


class Session:
    """`run` keeps a connection; the other methods speak on it."""

    def __init__(
        self,
        *,
        ecs: EcsApi,
        signer: Signer,
        traits: NodeTraits,
        clock: Clock,
        dice: Dice,
        feed: Callable[[on.Event], None],
    ) -> None:
        self._ecs = ecs
        self._signer = signer
        self._traits = traits
        self._clock = clock
        self._dice = dice
        self._feed = feed
        self.on_heartbeat: Callable[[], None] = _nothing  # told of each: the control plane asks how the node is
        self._cluster = ""
        self._instance = ""
        self._outbox: asyncio.Queue[acs.AgentMessage] | None = None
        self._credentials_wanted = True
        self._last_words: str | None = None  # a refusal in place of a message, before the server closes
        self.on_exec: Callable[[acs.MoorageExecMessage], None] = _nobody  # told of sessions of ECS Exec

    # ---- what the machine says ------------------------------------------------------------------------------

    def acknowledge(self, message_id: str) -> None:
        self._say(acs.AckRequest(cluster=self._cluster, container_instance=self._instance, message_id=message_id))

    def verify_stops(self, message_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        candidates = tuple(
            acs.TaskIdentifier(task_arn=arn, task_cluster_arn=cluster, desired_status="STOPPED")
            for arn, cluster in tasks
        )
        self._say(acs.TaskStopVerificationMessage(message_id=message_id, stop_candidates=candidates))

    def _say(self, message: acs.AgentMessage) -> None:
        if self._outbox is not None and self._outbox.qsize() < OUTBOX_MAX:
            self._outbox.put_nowait(message)

    # ---- connections ----------------------------------------------------------------------------------------

    async def run(self, cluster: str, instance: str) -> None:
        """Until cancelled, or `Unregistered` is raised."""
        self._cluster, self._instance = cluster, instance
        wait_s = BACKOFF_MIN_S
        while True:
            began_s = self._clock.steady_s()
            pause_s = await self._attempt()
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                continue
            if self._clock.steady_s() - began_s >= SILENCE_S:
                wait_s = BACKOFF_MIN_S
            await asyncio.sleep(wait_s * (1 + JITTER * below(self._dice, 1000) / 1000))
            wait_s = min(wait_s * BACKOFF_FACTOR, BACKOFF_MAX_S)

    async def _attempt(self) -> float | None:
        """One connection, from its handshake to its end; how long to wait, or None for the back-off."""
        try:
            endpoints = await self._ecs.discover(self._cluster, self._instance)
            async with self._connect(endpoints.endpoint) as socket:
                log.info("session open: %s", endpoints.endpoint)
                await self._converse(socket)
        except InvalidStatus as error:
            return self._refused(
                bytes(error.response.body or b""), f"handshake answered {error.response.status_code}"
            )
        except ApiRefused as error:
            if error.code == "InvalidParameterException":
                raise Unregistered(str(error)) from error
            log.warning("session: %s", error)
        except (Unavailable, OSError, TimeoutError, InvalidHandshake) as error:
            log.warning("session: %s", error)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            log.info("session closed: %s", closed)
            if self._last_words is not None:
                return self._refused(self._last_words.encode(), str(closed))
            return RECONNECT_S if code in (1000, 1001, 1006, 1011) else None
        return None

    def _refused(self, body: bytes, what: str) -> float | None:
        refusal = parse_refusal(body)
        self._last_words = None
        name, text = refusal or ("", body.decode(errors="replace"))
        log.warning("session refused: %s: %s %s", what, name, text)
        if name == "InactiveInstanceException":
            return INACTIVE_WAIT_S
        if name == "InvalidInstanceException":
            raise Unregistered(text)
        return None

    def _connect(self, endpoint: str) -> connect:
        query = {
            "agentHash": "moorage",
            "agentVersion": __version__,
            "clusterArn": self._cluster,
            "containerInstanceArn": self._instance,
            "dockerVersion": "DockerVersion: 0.0.0",
            "protocolVersion": acs.PROTOCOL_VERSION,
            "sendCredentials": "true" if self._credentials_wanted else "false",
            "seqNum": 1,
        }
        url = f"{endpoint.rstrip('/')}/ws?{urlencode(query)}"
        headers = self._signer.headers("GET", url, headers={}, body=b"", now_s=self._clock.now_s())
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

    async def _converse(self, socket: ClientConnection) -> None:
        self._credentials_wanted = False
        self._outbox = asyncio.Queue()
        self._feed(on.SessionOpened())
        speaker = asyncio.create_task(self._speak(socket, self._outbox))
        age_s = AGE_S + AGE_SPREAD_S * below(self._dice, 1000) / 1000
        ends_s = self._clock.steady_s() + age_s
        try:
            while self._clock.steady_s() < ends_s:
                silence_s = SILENCE_S + SILENCE_S * below(self._dice, 1000) / 1000
                async with asyncio.timeout(silence_s):
                    text = await socket.recv()
                self._hear(text)
        finally:
            self._outbox = None
            speaker.cancel()
        await socket.close(1000, "ConnectionExpired: Reconnect to continue")

    async def _speak(self, socket: ClientConnection, outbox: asyncio.Queue[acs.AgentMessage]) -> None:
        try:
            while True:
                await socket.send(acs.encode(await outbox.get()))
        except ConnectionClosed:
            return  # the listener sees it as well, and says why

    def _hear(self, text: str | bytes) -> None:
        try:
            message = acs.decode(text)
        except acs.BadFrame as error:
            if parse_refusal(text) is not None:
                self._last_words = text if isinstance(text, str) else text.decode(errors="replace")
            else:
                log.error("a message that cannot be read: %s", error)
            return
        if message is None:
            log.info("a message of an unknown type: %.80s", text)
        else:
            self._take(message)

    def _take(self, message: acs.Message) -> None:
        if isinstance(message, acs.HeartbeatMessage):
            self._say(acs.HeartbeatAckRequest(message_id=message.message_id))
            self.on_heartbeat()
        elif isinstance(message, acs.MoorageExecMessage):
            self.on_exec(message)
        elif (event := event_of(message, self._traits)) is not None:
            self._feed(event)
        else:
            # Credentials and attachments: this agent does not announce the abilities they belong to.
            log.warning("a message that this agent has no use for: %s", type(message).__name__)


def _nobody(message: acs.MoorageExecMessage) -> None:
    log.warning("%s: this agent opens no terminals", message.session_id)


def _nothing() -> None:
    """Nobody wants to know."""
