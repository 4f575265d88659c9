"""Does: the node's hands: namespaces, links, cgroups, overlays, the OCI runtime, images.
May import: agent.spec, oci, base.
Does not: decide anything; every function does one thing, may be repeated, and says what went wrong.
"""
