"""Does: Amazon EC2, as far as containers need it: `api/ec2/<noun>.py`, the function is the operation.
May import: api.call, store, wire, link, rules, model, base.
Does not: import another service; it reads their tables.
"""
