"""Run seeds: `python -m moorage.sim --seeds 40`, or one of them again: `--seed 8127 --trace`."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback

from moorage.sim.world import SimWorld


def main() -> None:
    """The program; ends with 1 where a seed has failed."""
    arguments = argparse.ArgumentParser(prog="moorage.sim")
    arguments.add_argument("--seeds", type=int, default=40, help="how many fresh seeds to run")
    arguments.add_argument("--seed", type=int, help="run this one only")
    arguments.add_argument("--first", type=int, help="run the seeds from this one on, rather than fresh ones")
    arguments.add_argument("--trace", action="store_true", help="print what happened")
    asked = arguments.parse_args()
    first = secrets.randbelow(1_000_000_000) if asked.first is None else asked.first
    seeds = [asked.seed] if asked.seed is not None else range(first, first + asked.seeds)
    began = time.monotonic()
    failed = [seed for seed in seeds if not run(seed, trace=asked.trace)]
    passed = len(seeds) - len(failed)
    print(f"{passed} passed, {len(failed)} failed ({time.monotonic() - began:.1f} s)")
    sys.exit(1 if failed else 0)


def run(seed: int, *, trace: bool) -> bool:
    """One seed; prints what it takes to see a failure again."""
    world = SimWorld(seed)
    try:
        digest = world.run()
    except AssertionError as error:
        if trace:
            print("\n".join(world.lines))
        traceback.print_exc()
        print(f"seed {seed} after {world.time.steady_s():.3f} s: {error} -> make sim SEED={seed}")
        return False
    if trace:
        print("\n".join(world.lines))
    print(f"seed {seed}: {len(world.lines)} lines, {len(world.acknowledged)} tasks, trace {digest}")
    return True


if __name__ == "__main__":
    main()
