"""Does: what is wanted: `api/<service>/<noun>.py`, where the function is the operation.
May import: store, wire, link, rules, model, base.
Does not: wait, read a clock, throw dice, know HTTP; services never import each other.
"""
