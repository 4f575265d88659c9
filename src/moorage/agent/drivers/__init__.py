"""Does: the node's hands: namespaces, links, cgroups, root filesystems and container processes of one agent.
May import: moorage.agent.spec, oci, wire, base.
Does not: decide what should run, talk to the control plane, keep anything that must outlive a reboot.
"""
