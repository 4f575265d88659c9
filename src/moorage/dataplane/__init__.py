"""Does: what carries users' bytes: the image registry now, load balancers and DNS beside it.
May import: store, wire, oci, rules, model, base.
Does not: answer the AWS API.
"""
