"""Starts an installation's programs, starts again what dies, and ends them when told.

    python -m moorage.boot.supervisor --home DIRECTORY

It holds no state: `run/<program>.pid` says who is alive and `run/ready.json` who answers. A program is ready when it
has made its `run/<program>.ready`. SIGTERM and SIGINT end the programs; containers go on.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from moorage.model.installation import ProgramState, Settings

# A program that dies at once is not started again at once: the wait doubles up to the largest, and begins anew once
# the program has lived for several times the last wait, so that starting never becomes most of what happens.
RESTART_WAIT_MIN_S: Final = 0.1
RESTART_WAIT_MAX_S: Final = 15.0
LIVED_FOR_WAITS: Final = 5
# Inside this the server finishes its answers and agents write their records; longer means it hangs.
STOP_PATIENCE_S: Final = 8.0
# What a program said last, for the supervisor's own log.
TAIL_BYTES: Final = 4096
# A program's log is set aside at its next start once it is this long; one older log is kept.
LOG_MAX_BYTES: Final = 16 * 1024 * 1024
READY_POLL_S: Final = 0.02


def restart_wait_s(last_wait_s: float, lived_s: float) -> float:
    """How long to wait before a program is started again that lived for `lived_s` after the last wait."""
    if lived_s > LIVED_FOR_WAITS * last_wait_s:
        return RESTART_WAIT_MIN_S
    return min(last_wait_s * 2, RESTART_WAIT_MAX_S)


class Supervisor:
    """One task for each program; all end together."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._run = home / "run"
        self._logs = home / "logs"
        base = [sys.executable, "-m"]
        self._programs = {"server": [*base, "moorage.boot.server", "--home", str(home)]} | {
            node.name: [*base, "moorage.boot.agent", "--home", str(home), "--node", node.name]
            for node in settings.nodes
        }
        self._deaths = dict.fromkeys(self._programs, 0)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until a signal says stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        for name in self._programs:
            (self._run / f"{name}.ready").unlink(missing_ok=True)
        async with asyncio.TaskGroup() as group:
            reporter = group.create_task(self._report())
            keepers = [group.create_task(self._keep(name, words)) for name, words in self._programs.items()]
            await asyncio.wait(keepers)
            reporter.cancel()

    async def _keep(self, name: str, words: list[str]) -> None:
        """Keep one program running."""
        loop = asyncio.get_running_loop()
        wait_s = RESTART_WAIT_MIN_S
        while not self._stopping.is_set():
            began_s = loop.time()
            code = await self._run_once(name, words)
            if self._stopping.is_set():
                return
            self._deaths[name] += 1
            lived_s = loop.time() - began_s
            wait_s = restart_wait_s(wait_s, lived_s)
            print(
                f"{name} ended with {code} after {lived_s:.1f} s; again in {wait_s:.1f} s",
                file=sys.stderr,
                flush=True,
            )
            self._tail(name)
            await self._until_stopping(wait_s)

    def _tail(self, name: str) -> None:
        with open(self._logs / f"{name}.log", "rb") as log:
            log.seek(-min(TAIL_BYTES, log.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = log.read().decode(errors="replace").splitlines()[-4:]
        print("\n".join(f"  {name}: {line}" for line in lines), file=sys.stderr, flush=True)

    async def _run_once(self, name: str, words: list[str]) -> int:
        """Start it, wait for its end or for ours; returns its exit code."""
        path = self._logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with open(path, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _write(self._run / f"{name}.pid", str(process.pid))
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            process.terminate()
            done, _ = await asyncio.wait([ended], timeout=STOP_PATIENCE_S)
            if not done:
                process.kill()
        code = await ended
        for suffix in ("pid", "ready"):
            (self._run / f"{name}.{suffix}").unlink(missing_ok=True)
        return code

    async def _until_stopping(self, seconds: float) -> None:
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([waiting], timeout=seconds)
        waiting.cancel()

    async def _report(self) -> None:
        """Keep `ready.json` true."""
        told: dict[str, ProgramState] = {}
        while True:
            now = {
                name: ProgramState(ready=(self._run / f"{name}.ready").exists(), deaths=deaths)
                for name, deaths in self._deaths.items()
            }
            if now != told:
                _write(self._run / "ready.json", msgspec.json.encode(now).decode())
                told = now
            await asyncio.sleep(1.0 if all(state.ready for state in now.values()) else READY_POLL_S)


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def main() -> None:
    """The program."""
    arguments = argparse.ArgumentParser(prog="moorage.boot.supervisor")
    arguments.add_argument("--home", type=Path, required=True)
    home: Path = arguments.parse_args().home
    settings = msgspec.json.decode((home / "installation.json").read_bytes(), type=Settings)
    lock = os.open(home / "run" / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process ends
    except BlockingIOError:
        sys.exit(f"moorage: another supervisor runs in {home}")
    pid_file = home / "run" / "supervisor.pid"
    _write(pid_file, str(os.getpid()))
    try:
        asyncio.run(Supervisor(home, settings).run())
    finally:
        pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
