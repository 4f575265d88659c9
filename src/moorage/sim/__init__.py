"""Does: the simulated world: clock, network, disk, runtime, faults, checkers, from one seed.
May import: everything.
Does not: replace production code; only the world around it.
"""
