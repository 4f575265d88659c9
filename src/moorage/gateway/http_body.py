"""A request's body on its way from the socket to whoever reads it, with back-pressure on the sender."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from moorage.gateway.http_limits import BODY_BUFFER_BYTES
from moorage.wire.http import BodyTooLarge


class IncomingBody:
    """Fed by the connection, read once by a handler. Implements `wire.http.Body`."""

    __slots__ = ("_at_first_read", "_buffered", "_declared", "_lost", "_pieces", "_waiter", "ended", "on_room")

    def __init__(self, declared_bytes: int | None, at_first_read: Callable[[], None] | None) -> None:
        """`at_first_read` invites a client that waits for `100 Continue`."""
        self.ended = False
        self.on_room: Callable[[], None] | None = None  # set while the sender is made to wait
        self._declared = declared_bytes
        self._at_first_read = at_first_read
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._lost = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def awaited(self) -> bool:
        """A reader waits for the client now."""
        return self._waiter is not None

    @property
    def full(self) -> bool:
        return self._buffered > BODY_BUFFER_BYTES

    def feed(self, piece: bytes) -> None:
        """A piece from the client."""
        self._at_first_read = None  # it came without an invitation
        self._pieces.append(piece)
        self._buffered += len(piece)
        self._wake()

    def end(self) -> None:
        """The client has sent all of it."""
        self.ended = True
        self._wake()

    def lose(self) -> None:
        """The client has left."""
        self._lost = not self.ended
        self._wake()

    async def read(self, limit_bytes: int) -> bytes:
        """All of it; raises `BodyTooLarge` beyond the limit, `ConnectionError` where the client left."""
        if self._declared is not None and self._declared > limit_bytes:
            raise BodyTooLarge(f"the body has {self._declared} bytes; at most {limit_bytes} are read")
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            size += len(piece)
            if size > limit_bytes:
                raise BodyTooLarge(f"the body has more than {limit_bytes} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Piece by piece, with back-pressure on the sender."""
        if self._at_first_read is not None:
            invite, self._at_first_read = self._at_first_read, None
            if not self.ended:
                invite()
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._buffered -= len(piece)
                if self.on_room is not None and not self.full:
                    on_room, self.on_room = self.on_room, None
                    on_room()
                yield piece
            if self.ended:
                return
            if self._lost:
                raise ConnectionResetError("the client left before its body was complete")
            await self._more()

    async def _more(self) -> None:
        assert self._waiter is None, "a body has one reader"
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
