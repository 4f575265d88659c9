"""The server: state, journal, control loops, the API and the registry in one process.

    python -m moorage.boot.server --home DIRECTORY

SIGTERM finishes the answers that are in work and ends it; no container is touched. `kill -9` loses nothing that was
acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from moorage.api.call import Installation
from moorage.base.dice import uuid
from moorage.base.errors import MoorageError
from moorage.boot import runner
from moorage.boot.first_start import prepare, write_credentials
from moorage.boot.services import SERVICES
from moorage.boot.world import SystemClock, SystemDice
from moorage.control.instances import InstanceLoop
from moorage.control.reaper import LogRetention, Reaper
from moorage.control.sessions import Sessions
from moorage.dataplane.registry import Registry
from moorage.dataplane.registry_auth import basic
from moorage.gateway.agents import ACS_PREFIX, TCS_PREFIX, AgentGateway, signed_by
from moorage.gateway.chain import Gateway, World, routes_of
from moorage.gateway.http import HttpServer
from moorage.gateway.terminals import NODE_PREFIX, STREAM_PREFIX, TerminalGateway
from moorage.model.installation import ZONE_LETTERS, Settings
from moorage.store import Store
from moorage.store.events import EventStore
from moorage.store.sqlite import SqliteJournal
from moorage.wire.http import Handler, Request, Response

log = logging.getLogger("moorage.server")

# A push that has said nothing for a day will not go on; clients give up within minutes.
SWEEP_PERIOD_S: Final = 86_400.0


def main() -> None:
    """The program."""
    if not __debug__:
        sys.exit("moorage: python -O removes the assertions that guard the state; start it without")
    arguments = argparse.ArgumentParser(prog="moorage.boot.server")
    arguments.add_argument("--home", type=Path, required=True)
    home: Path = arguments.parse_args().home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = msgspec.json.decode((home / "installation.json").read_bytes(), type=Settings)
        uvloop.run(serve(home, settings))
    except (MoorageError, OSError, msgspec.DecodeError) as error:
        sys.exit(f"moorage: the server cannot run: {error}")


async def serve(home: Path, settings: Settings) -> None:
    """Everything, until a signal."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    clock, dice = SystemClock(), SystemDice()

    def notify(function: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(function)

    store = Store(SqliteJournal(home / "state.db"), notify)
    events = EventStore(home / "events.db", notify)
    prepare(store, settings, dice, clock.now_s())
    events.sweep([stream.number for stream in store.view().log_streams])
    await _durable(store)
    write_credentials(store, home)

    world = World(store, events, _installation(settings), clock, dice, routes_of(SERVICES))
    sessions = Sessions(dice, clock.now_s())
    agents = AgentGateway(store, sessions, clock, signed_by(world))
    terminals = TerminalGateway(store, clock, dice, signed_by(world))
    terminals.forget_open()
    registry = Registry(home / "registry", basic(store.view().access_keys.get))
    server = HttpServer(
        _front(Gateway(world), registry),
        {
            ACS_PREFIX: agents.acs,
            TCS_PREFIX: agents.tcs,
            STREAM_PREFIX: terminals.caller,
            NODE_PREFIX: terminals.node,
        },
        wall_clock_s=clock.now_s,
        request_id=lambda: uuid(dice),
    )
    port = await server.start(settings.host, settings.port)
    (home / "run" / "server.ready").touch()
    log.info("answering on %s:%d", settings.host, port)
    sweeping = asyncio.create_task(_sweep(registry, clock))
    await _run_loops(_loops(store, events, sessions), store, clock, stopping)
    sweeping.cancel()
    await server.close()
    events.close()
    store.close()


async def _run_loops(loops: list[runner.Loop], store: Store, clock: SystemClock, stopping: asyncio.Event) -> None:
    """Until told to stop, or until a loop finds an invariant broken: then the process ends with it."""
    running = [asyncio.create_task(runner.run(loop, store, clock), name=loop.name) for loop in loops]
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait([told, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in [told, *running]:
        if task.done() and not task.cancelled():
            task.result()
        task.cancel()


async def _sweep(registry: Registry, clock: SystemClock) -> None:
    """Give back what abandoned pushes and removed images hold on the disk, once a day."""
    while True:
        try:
            await registry.sweep(clock.now_s() - SWEEP_PERIOD_S)
        except OSError as error:
            log.warning("sweeping the registry: %s", error)
        await asyncio.sleep(SWEEP_PERIOD_S)


def _loops(store: Store, events: EventStore, sessions: Sessions) -> list[runner.Loop]:
    loops = (InstanceLoop(store, sessions), Reaper(store), LogRetention(store, events))
    return [runner.Loop(one.name, one.tables, one.period_s, one.activate) for one in loops]


def _installation(settings: Settings) -> Installation:
    return Installation(
        account=settings.account, regions=settings.regions, endpoint=settings.endpoint, zones=ZONE_LETTERS
    )


def _front(gateway: Gateway, registry: Registry) -> Handler:
    """Registry paths to the registry, everything else to the API."""

    def handle(request: Request) -> Awaitable[Response]:
        return (registry if request.path == "/v2" or request.path.startswith("/v2/") else gateway).handle(request)

    return handle


async def _durable(store: Store) -> None:
    """Return once everything written until now is on the disk."""
    done = asyncio.Event()
    store.when_durable(done.set)
    await done.wait()


if __name__ == "__main__":
    main()
