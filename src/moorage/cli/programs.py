"""The programs of an installation: started detached, found again by their pid files, ended by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from moorage.cli.home import Home

SUPERVISOR: Final = "supervisor"
READY: Final = "ready.json"  # the supervisor's word on which programs are ready
# What a program gets to end in good order: the server finishes answers, agents write their records.
STOP_PATIENCE_S: Final = 15.0
POLL_S: Final = 0.05


def start_supervisor(home: Home) -> int:
    """Start the supervisor in a session of its own, so that a closed terminal does not take it along."""
    (home.run / READY).unlink(missing_ok=True)  # of a supervisor that was killed
    with open(home.logs / "supervisor.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moorage.boot.supervisor", "--home", str(home.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    return process.pid


def running(home: Home) -> dict[str, int]:
    """Pid by name of the installation's programs that are alive; a pid that now is another program's is not."""
    alive = {}
    for path in sorted(home.run.glob("*.pid")):
        pid = _pid_of(path)
        if pid is not None and _is_ours(pid, home):
            alive[path.stem] = pid
    return alive


def stop(home: Home) -> None:
    """End the supervisor, which ends the others, and then whatever is left of them. Containers are not touched."""
    programs = running(home)
    supervisor = programs.pop(SUPERVISOR, None)
    if supervisor is not None:
        _end({SUPERVISOR: supervisor}, home)
    _end({name: pid for name, pid in programs.items() if _is_ours(pid, home)}, home)


def _end(programs: dict[str, int], home: Home) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for pid in programs.values():
            if _is_ours(pid, home):
                os.kill(pid, signal_number)
        deadline = time.monotonic() + STOP_PATIENCE_S
        while any(_is_ours(pid, home) for pid in programs.values()):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        else:
            return
    raise click.ClickException(f"these programs do not end: {programs}")


def _pid_of(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _is_ours(pid: int, home: Home) -> bool:
    """Whether `pid` is a living program of this installation, by what it was started as."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    started_here = any(word.startswith(os.fsencode(home.path)) for word in words)
    return state != "Z" and started_here and any(word.startswith(b"moorage.boot.") for word in words)
