"""Does: decisions as pure functions: what fits where, what may follow what, what a request must look like.
May import: model, base.
Does not: read state, clocks or dice; everything it needs is an argument, everything it decides a value.
"""
