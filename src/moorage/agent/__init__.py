"""Does: the node: turns what the control plane wants of this host into sandboxes and containers, and reports.
May import: link, oci, wire, model, base.
Does not: decide placement, keep the platform's truth, outlive nothing: containers outlive it.
"""
