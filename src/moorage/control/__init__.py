"""Does: what is decided: level-triggered loops over the state, and the sessions that agents hold.
May import: store, link, rules, model, base.
Does not: wait, read a clock, talk to a network; whoever runs it does.
"""
