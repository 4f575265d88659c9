"""The two websockets of an ECS Exec session: the caller's, at the stream URL that ExecuteCommand answered with, and
the node's, at `/exec/ws`. Here they find each other; `terminal_relay` carries what they say.

The caller is known by the session's token, which is good once: taking it is a transaction, and the same transaction
has the instance's agent told to come. The node is known by its signature.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import replace

from moorage.base.clock import Clock
from moorage.base.dice import Dice, uuid
from moorage.gateway.agents import Authenticate, Conversation
from moorage.gateway.terminal_relay import Relay
from moorage.link.refusal import Refusal
from moorage.model.exec_session import ExecSession
from moorage.store import Stalled, Store
from moorage.wire.data_channel import OpenDataChannel
from moorage.wire.http import Request, Response, WebSocket

_LOG = logging.getLogger(__name__)

STREAM_PREFIX: Final = "/v1/data-channel"
NODE_PREFIX: Final = "/exec/ws"
# A client sends the token with its first breath.
TOKEN_WITHIN_S: Final = 10.0
# Policy violation, of RFC 6455: the token is wrong, used or too old.
_NOT_YOU: Final = 1008
_TRY_AGAIN: Final = 1013


class TerminalGateway:
    """`caller` and `node` are the handlers for the two prefixes."""

    def __init__(self, store: Store, clock: Clock, dice: Dice, authenticate: Authenticate) -> None:
        self._store = store
        self._clock = clock
        self._new_id = partial(uuid, dice)
        self._authenticate = authenticate
        self._relays: dict[str, Relay] = {}

    def forget_open(self) -> None:
        """Call at start: the sessions that were open ended with the server that had their sockets."""
        left = [session.id for session in self._store.view().exec_sessions if session.opened_at is not None]
        with self._store.update() as tx:
            for key in left:
                tx.exec_sessions.delete(key)

    async def caller(self, request: Request) -> Response | Conversation:
        """Whoever executes a command. Anybody may knock; the token comes in the first message."""
        session_id = request.path.rpartition("/")[2]
        return lambda socket: self._open(socket, session_id)

    async def node(self, request: Request) -> Response | Conversation:
        """The agent that was told of a session."""
        scope = self._authenticate(request)
        if isinstance(scope, Refusal):
            return _refused(scope)
        query = dict(parse_qsl(request.query))
        session = self._store.view().exec_sessions.get(query.get("sessionId", ""))
        relay = self._relays.get(session.id) if session is not None else None
        if (
            session is None
            or relay is None
            or relay.attached
            or (session.account, session.region) != scope
            or session.instance != query.get("containerInstanceArn")
        ):
            return _refused(Refusal("BadRequestException", "There is no such session waiting for this node."))
        return relay.attach

    async def _open(self, socket: WebSocket, session_id: str) -> None:
        try:
            text = await asyncio.wait_for(socket.receive(), TOKEN_WITHIN_S)
            hello = msgspec.json.decode(text or "", type=OpenDataChannel)
        except (TimeoutError, msgspec.DecodeError):
            await socket.close(_NOT_YOU, "the first message must carry the token")
            return
        try:
            opened = self._take_token(session_id, hello.token_value)
        except Stalled as error:
            _LOG.warning("%s cannot be opened: %s", session_id, error)
            await socket.close(_TRY_AGAIN, "the server cannot write; try again later")
            return
        if not opened:
            await socket.close(_NOT_YOU, "the token is wrong, used or too old")
            return
        relay = Relay(session_id, socket, self._clock, self._new_id, wants_exit_code=hello.wants_exit_code)
        self._relays[session_id] = relay
        try:
            await relay.run()
        finally:
            del self._relays[session_id]
            self._delete(session_id)

    def _take_token(self, session_id: str, token: str) -> bool:
        """Whether the token opens the session; it never will again."""
        now_s = self._clock.now_s()
        with self._store.update() as tx:
            session = tx.exec_sessions.get(session_id)
            if session is None or session.opened_at is not None or session.is_void(now_s):
                return False
            if not _is_token(session, token):
                return False
            tx.exec_sessions.put(replace(session, opened_at=now_s))
            return True

    def _delete(self, session_id: str) -> None:
        try:
            with self._store.update() as tx:
                tx.exec_sessions.delete(session_id)
        except Stalled as error:  # the next start of the server forgets it
            _LOG.warning("%s stays: %s", session_id, error)


def _is_token(session: ExecSession, token: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), session.token_sha256)


def _refused(refusal: Refusal) -> Response:
    return Response(status=refusal.status, headers=(("content-type", "application/json"),), body=refusal.body())
