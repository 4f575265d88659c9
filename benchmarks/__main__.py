"""python -m benchmarks [NAME ...] [--quick] [--json FILE]: all benchmarks, or those that are named."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.figures import Figure, Options

# Those that measure against a peer, in the order of what users wait for.
MEASURED: Final = ("launch_latency", "launch_rate", "api_rate", "start")
# Programs of their own, without a peer that could be started here; they print their own tables.
PROGRAMS: Final = ("placement", "store")


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURED + PROGRAMS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every measured value")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*MEASURED, *PROGRAMS}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        sys.exit("benchmarks: real containers need root")
    console = Console(width=max(Console().width, 150))
    figures = _measure(arguments.names or [*MEASURED, *PROGRAMS], Options(arguments.quick), console)
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(figures), indent=2) + "\n")


def _measure(names: list[str], options: Options, console: Console) -> list[Figure]:
    found: list[Figure] = []
    for name in names:
        if name in PROGRAMS:
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
            continue
        busy = _busy()
        figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").measure(options)
        for figure in figures:
            figure.notes.append(f"{os.cpu_count()} cores, {busy:.0%} busy with other things when this began")
            report.show(console, figure)
        found.extend(figures)
    return found


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
