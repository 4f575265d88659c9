"""Does: OCI images: references, manifests, archives, layers as tar streams, the distribution client, small builds.
May import: base.
Does not: unpack onto a disk, serve a registry, know what a task is.
"""
