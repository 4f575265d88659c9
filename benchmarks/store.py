"""Durable transitions per second: the store against plain SQLite and, where it is installed, etcd; and log events.

Run: python benchmarks/store.py [--seconds S] [--runs N] [--directory DIR]. In each run 256 writers each write a
512-byte record, wait until it would survive a power cut, and write the next. All of them take turns in one run, on
the same disk, so that what disturbs one disturbs the others; the figures are medians over the runs.

- Moorage: the store on one event loop, with its SQLite journal behind it.
- SQLite autocommit: the same rows, journal mode and syncing, one commit each. SQLite takes one writer at a time, so
  that 256 of them would only queue; one is measured.
- etcd: one member, 256 connections to its HTTP gateway. What this Python client costs is in the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

from moorage.base.ids import AccountId, ClusterArn, Region
from moorage.model.cluster import Cluster
from moorage.model.tags import Tag
from moorage.store import Store
from moorage.store.events import EventStore
from moorage.store.sqlite import SqliteJournal

WRITERS = 256
RECORD_BYTES = 512
RECORDS = 10_000  # written over and over, so that the state stays the size of a small installation
EVENTS_IN_BATCH = 100
EVENT = "x" * 150
ETCD_READY_S = 20.0

Durable = Callable[[int], Awaitable[None]]


def record(number: int) -> Cluster:
    """A record that takes 512 bytes in the journal."""
    name = f"bench-{number:06}"
    bare = Cluster(
        arn=ClusterArn(f"arn:aws:ecs:us-east-1:123456789012:cluster/{name}"),
        name=name,
        account=AccountId("123456789012"),
        region=Region("us-east-1"),
        tags=(Tag(key="padding", value="x" * 64),),
        created_at=1.0,
    )
    padding = RECORD_BYTES - len(msgspec.msgpack.encode(bare)) + 64
    full = msgspec.structs.replace(bare, tags=(Tag(key="padding", value="x" * (padding - 1)),))
    assert abs(len(msgspec.msgpack.encode(full)) - RECORD_BYTES) <= 1
    return full


async def per_second(write: Durable, seconds: float, writers: int = WRITERS) -> float:
    """How often `write` returned in a second, with `writers` of them at once."""
    end = time.perf_counter() + seconds
    done = 0

    async def writer(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await write((done * 7919 + number) % RECORDS)
            done += 1

    start = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(writers)))
    return done / (time.perf_counter() - start)


def handed_to(loop: asyncio.AbstractEventLoop) -> Callable[[Callable[[], None]], None]:
    """How another thread's word reaches the loop."""

    def notify(function: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(function)

    return notify


async def moorage(directory: Path, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    store = Store(SqliteJournal(directory / "state.db"), handed_to(loop))
    records = [record(number) for number in range(RECORDS)]

    async def write(number: int) -> None:
        with store.update() as tx:
            tx.clusters.put(records[number])
        settled = loop.create_future()
        store.when_durable(lambda: settled.set_result(None))
        await settled

    try:
        return await per_second(write, seconds)
    finally:
        store.close()


async def log_events(directory: Path, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    events = EventStore(directory / "events.db", handed_to(loop))
    batch = [(millisecond, EVENT) for millisecond in range(EVENTS_IN_BATCH)]

    async def write(number: int) -> None:
        events.append(number % WRITERS, batch, 0)
        settled = loop.create_future()
        events.when_durable(lambda: settled.set_result(None))
        await settled

    try:
        return await per_second(write, seconds) * EVENTS_IN_BATCH
    finally:
        events.close()


async def autocommit(directory: Path, seconds: float) -> float:
    connection = sqlite3.connect(directory / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (tbl TEXT, key TEXT, value BLOB, UNIQUE (tbl, key))")
    value = msgspec.msgpack.encode(record(0))

    async def write(number: int) -> None:
        connection.execute("INSERT OR REPLACE INTO rows VALUES ('clusters', ?, ?)", (f"bench-{number:06}", value))

    try:
        return await per_second(write, seconds, writers=1)
    finally:
        connection.close()


async def etcd(directory: Path, seconds: float) -> float:
    value = base64.b64encode(msgspec.msgpack.encode(record(0))).decode()
    with etcd_running(directory) as port:
        await etcd_ready(port)
        idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for _ in range(WRITERS):
            idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))

        async def write(number: int) -> None:
            key = base64.b64encode(b"bench-%06d" % number).decode()
            async with lent(idle) as (reader, writer):
                body = b'{"key":"%s","value":"%s"}' % (key.encode(), value.encode())
                writer.write(
                    b"POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))

        try:
            return await per_second(write, seconds)
        finally:
            while not idle.empty():
                idle.get_nowait()[1].close()


@contextlib.asynccontextmanager
async def lent(
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connection = await idle.get()
    yield connection
    idle.put_nowait(connection)


@contextlib.contextmanager
def etcd_running(directory: Path) -> Iterator[int]:
    """One member on free ports of the loopback, gone afterwards; the port for clients."""
    client, peer = free_port(), free_port()
    clients, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    command = ["etcd", "--data-dir", str(directory / "etcd"), "--listen-client-urls", clients]
    command += ["--advertise-client-urls", clients, "--listen-peer-urls", peers]
    command += ["--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield client
    finally:
        process.terminate()
        process.wait()


async def etcd_ready(port: int) -> None:
    end = time.monotonic() + ETCD_READY_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            if b'"true"' in answer:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"etcd did not answer within {ETCD_READY_S:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where to write; the disk matters")
    options = parser.parse_args()
    rivals = {"Moorage store": moorage, "SQLite autocommit": autocommit}
    if shutil.which("etcd"):
        rivals["etcd"] = etcd
    figures: dict[str, list[float]] = {name: [] for name in (*rivals, "log events")}
    for _ in range(options.runs):
        for name, measure in (*rivals.items(), ("log events", log_events)):
            with tempfile.TemporaryDirectory(dir=options.directory) as directory:
                figures[name].append(uvloop.run(measure(Path(directory), options.seconds)))
    ours = statistics.median(figures["Moorage store"])
    print(f"{'durable writes per second':28}{'median':>10}{'ratio':>10}")
    for name in rivals:
        median = statistics.median(figures[name])
        print(f"{name:28}{median:10,.0f}{ours / median:9.1f}x")
    print(
        f"\nlog events per second, in batches of {EVENTS_IN_BATCH}: {statistics.median(figures['log events']):,.0f}"
    )


if __name__ == "__main__":
    main()
