"""Does: the `moor` command: a client of the public API, and what starts and stops an installation.
May import: oci, wire, model, base.
Does not: reach into a server or an agent; it starts them as programs and talks to them as anyone would.
"""
