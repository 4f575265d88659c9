"""Runs of the whole platform under a virtual clock, with faults: nothing that must hold is ever broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from moorage.sim.world import SimWorld

# A handful that CI has time for, the same each time; `make sim` runs fresh ones.
SEEDS = range(1, 41)  # 28 found a task that was ending, forgot it with its agent, and started once more
# Seeds that once found something. Kept for ever: the comment says what.
KEPT = (
    150,  # a task that was stopped before its agent had heard of it stayed PENDING for ever
)


@pytest.mark.parametrize("seed", [*SEEDS, *KEPT])
def test_no_invariant_breaks(seed: int) -> None:
    world = SimWorld(seed)
    world.run()
    assert len(world.acknowledged) > 20, "a run in which hardly anything happens shows nothing"


@pytest.mark.parametrize("seed", [7, 8127])
def test_a_seed_gives_the_same_run_whatever_python_hashes_with(seed: int) -> None:
    assert _trace(seed, hash_seed="1") == _trace(seed, hash_seed="2")


def _trace(seed: int, hash_seed: str) -> str:
    words = [sys.executable, "-m", "moorage.sim", "--seed", str(seed), "--trace"]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.rpartition("\n1 passed")[0]
