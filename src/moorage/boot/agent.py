"""The agent: one host's share in an installation.

    python -m moorage.boot.agent --home DIRECTORY --node NAME [--sweep]
    python -m moorage.boot.agent --config FILE [--sweep]

The first form finds everything in the home that `moor up` has prepared; the second is for other machines, and its
file (TOML or JSON) holds the members of `AgentConfig`. SIGTERM stops the agent and leaves the containers running, as
does `kill -9`; the next agent adopts them. `--sweep` removes everything of this node instead.
"""

from __future__ import annotations

import argparse
import asyncio
import configparser
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moorage.agent.spec import DriverError
from moorage.base.errors import MoorageError
from moorage.boot.agent_config import AgentConfig, Key, config_from_file, config_from_home

log = logging.getLogger("moorage.agent")

# Each followed log takes a descriptor, each start a few for a while; the default soft limit of 1,024 is soon reached.
OPEN_FILES: Final = 65_536
# What steps in the making get when the agent is told to stop; one that takes longer is found half-made by the next.
STOP_PATIENCE_S: Final = 5.0


async def wait_for_key(file: Path) -> Key:
    """The node's key; the server writes it at its first start, which may be this very moment."""
    told = False
    while True:
        parser = configparser.ConfigParser()
        if parser.read(file):
            section = parser["default"]
            return Key(section["aws_access_key_id"], section["aws_secret_access_key"])
        if not told:
            log.info("waiting for %s", file)
            told = True
        await asyncio.sleep(0.02)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def run(config: AgentConfig) -> int:
    """The agent, until a signal or a bug ends it; the exit code."""
    from moorage.boot.agent_parts import Agent

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        loop.default_exception_handler(context)
        end(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, 0)
    loop.set_exception_handler(failed)
    agent = await Agent.open(config, await wait_for_key(Path(config.credentials)), boot_id())
    agent.begin()
    code = await ended
    await agent.stop(STOP_PATIENCE_S)
    return code


def sweep(config: AgentConfig) -> None:
    """Remove all of this node from the host. Its records stay: by them the next agent tells what has ended."""
    from moorage.agent.drivers.node import Node

    Node.sweep(config.node())


def raise_file_limit() -> None:
    """As far as the host allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


def main(words: Sequence[str] | None = None) -> None:
    """The program."""
    if not __debug__:
        sys.exit("moorage: python -O removes the assertions that guard the state; start it without")
    parser = argparse.ArgumentParser(prog="moorage.boot.agent")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--node")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--sweep", action="store_true")
    given = parser.parse_args(words)
    if (given.config is None) == (given.home is None or given.node is None):
        parser.error("give --home and --node, or --config")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        config = config_from_file(given.config) if given.config else config_from_home(given.home, given.node)
        if given.sweep:
            sweep(config)
            return
        raise_file_limit()
        import uvloop

        code = uvloop.run(run(config))
    except (MoorageError, DriverError, OSError, ValueError) as error:
        sys.exit(f"moorage: the agent {given.node or given.config} cannot run: {error}")
    logging.shutdown()
    # Without waiting for threads: a pull may take long, and the next agent begins it anew.
    os._exit(code)


if __name__ == "__main__":
    main()
