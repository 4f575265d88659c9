"""Sends ready-made HTTP requests as fast as they are answered: a process of its own, told on its standard input.

    python -m benchmarks.load < job.json > result.json

Each connection is kept, as an SDK's is, and opened again should the server close it; the next request leaves when the
answer to the last has come in whole. Nothing is parsed but the status and the length, so that a fast server is not
measured by a slow client.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec
import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close\r\n", re.I)
WARM_UP_S: Final = 1.0


class Job(msgspec.Struct, frozen=True):
    """What to send, and for how long."""

    port: int
    connections: int
    seconds: float
    requests: list[str]  # base64 of whole requests, sent in turn


class Result(msgspec.Struct, frozen=True):
    """What came back after the warm-up."""

    answers: int
    failures: int  # another status than 200
    seconds: float
    p50_ms: float
    p99_ms: float
    first_failure: str = ""


class _Tally:
    def __init__(self) -> None:
        self.begins_at = time.perf_counter() + WARM_UP_S
        self.latencies: list[float] = []
        self.failures = 0
        self.first_failure = b""

    def add(self, sent_at: float, answer: bytes) -> None:
        now = time.perf_counter()
        if now < self.begins_at:
            return
        self.latencies.append(now - sent_at)
        if answer[9:12] != b"200":
            self.failures += 1
            self.first_failure = self.first_failure or answer[:500]


class _Connection(asyncio.Protocol):
    """Sends, waits for the whole answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], tally: _Tally, lost: asyncio.Queue[None]) -> None:
        self._requests = requests
        self._tally = tally
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, which has the same methods
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._received = b""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head + 2)
        if length is None:
            raise ValueError(f"an answer without a length: {self._received[:200]!r}")
        if len(self._received) >= head + 4 + int(length[1]):
            self._tally.add(self._sent_at, self._received)
            if _CLOSE.search(self._received, 0, head + 2):
                assert self._transport is not None
                self._transport.abort()
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        self._lost.put_nowait(None)


def _give_up(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A fault of this program must not look like a slow server."""
    sys.exit(f"load: {context}")


async def run(job: Job) -> Result:
    """Keep all connections busy until the time is over."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_give_up)
    requests = itertools.cycle([base64.b64decode(text) for text in job.requests])
    tally = _Tally()
    lost: asyncio.Queue[None] = asyncio.Queue()
    for _ in range(job.connections):
        lost.put_nowait(None)
    ends_at = tally.begins_at + job.seconds
    while (left := ends_at - time.perf_counter()) > 0:
        try:
            await asyncio.wait_for(lost.get(), left)
        except TimeoutError:
            break
        await loop.create_connection(lambda: _Connection(requests, tally, lost), "127.0.0.1", job.port)
    ordered = sorted(tally.latencies)
    return Result(
        answers=len(ordered) - tally.failures,
        failures=tally.failures,
        seconds=job.seconds,
        p50_ms=ordered[len(ordered) // 2] * 1000 if ordered else 0.0,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1000 if ordered else 0.0,
        first_failure=tally.first_failure.decode(errors="replace"),
    )


def main() -> None:
    """The program."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    json.dump(msgspec.to_builtins(uvloop.run(run(job))), sys.stdout)


if __name__ == "__main__":
    main()
