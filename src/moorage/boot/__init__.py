"""Does: the composition roots: real clock, real dice, real disk, sockets; the programs start here.
May import: everything but the simulator.
Does not: decide anything.
"""
