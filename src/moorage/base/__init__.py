"""Does: the words every room shares: clock, dice, ids, errors, limits.
May import: the standard library's pure parts only.
Does not: read a clock, throw dice, touch a disk or a socket; those are arguments.
"""
