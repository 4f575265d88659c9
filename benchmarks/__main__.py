"""python -m benchmarks [NAME ...] [--quick] [--json FILE]: all benchmarks, or those that are named."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.figures import Figure, Options

# Those that measure against a peer, in the order of what users wait for.
MEASURED: Final = ("launch_latency", "launch_rate", "api_rate", "start")
# Programs of their own, which print their own tables; with what makes them quick.
PROGRAMS: Final = {
    "placement": ("--instances", "1000", "--tasks", "10000"),
    "store": ("--seconds", "0.5", "--runs", "2"),
}


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join((*MEASURED, *PROGRAMS))}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every measured value")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*MEASURED, *PROGRAMS}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        sys.exit("benchmarks: real containers need root")
    console = Console(width=max(Console().width, 150))
    found: dict[str, list[dict[str, object]] | list[str]] = {}
    for name in arguments.names or [*MEASURED, *PROGRAMS]:
        if name in PROGRAMS:
            found[name] = _printed(name, PROGRAMS[name] if arguments.quick else ())
        else:
            found[name] = report.as_json(_measured(name, Options(arguments.quick), console))
        if arguments.json:  # after each: a fault in the last one must not cost the others
            arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def _measured(name: str, options: Options, console: Console) -> list[Figure]:
    busy = _busy()
    figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").measure(options)
    figures[0].notes.append(f"{os.cpu_count()} cores, {busy:.0%} busy with other things when this began")
    for figure in figures:
        report.show(console, figure)
    return figures


def _printed(name: str, words: Sequence[str]) -> list[str]:
    """Run a program, let its lines through, and keep them."""
    lines = []
    with subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}", *words], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    if program.returncode != 0:
        sys.exit(f"benchmarks: {name} ended with {program.returncode}")
    return lines


def _busy(seconds: float = 1.0) -> float:
    """How much of the machine others use: the noise in what follows."""
    before = _ticks()
    time.sleep(seconds)
    busy, total = (now - then for now, then in zip(_ticks(), before, strict=True))
    return busy / total if total else 0.0


def _ticks() -> tuple[int, int]:
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


if __name__ == "__main__":
    main()
