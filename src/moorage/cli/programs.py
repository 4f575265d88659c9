"""The programs of an installation: started detached, found again by their pid files, ended by pid."""

from __future__ import annotations

import contextlib
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
EXEC_POLL_S: Final = 0.001
_MODULES: Final = b"moorage.boot."


def start_supervisor(home: Home) -> None:
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
    # Written here already: whoever asks next must not find that nobody runs.
    (home.run / f"{SUPERVISOR}.pid").write_text(str(process.pid))
    # For a moment of exec a process has no arguments, and is nobody's.
    while process.poll() is None and not _is_ours(process.pid, home):
        time.sleep(EXEC_POLL_S)


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
    supervisor = running(home).get(SUPERVISOR)
    if supervisor is not None:
        _end([supervisor], home)
    _end([int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_ours(int(entry.name), home)], home)


def _end(pids: list[int], home: Home) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            if _is_ours(pid, home):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal_number)
        deadline = time.monotonic() + STOP_PATIENCE_S
        while any(_is_ours(pid, home) for pid in pids):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        else:
            return
    raise click.ClickException(f"these programs do not end: {', '.join(map(str, pids))}")


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
    return state != "Z" and os.fsencode(home.path) in words and any(word.startswith(_MODULES) for word in words)
