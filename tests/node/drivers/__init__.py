"""Does: the node drivers against a real host: root, namespaces, cgroups, real containers.
May import: moorage.agent.
Does not: leave anything on the host.
"""
