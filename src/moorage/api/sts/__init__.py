"""Does: AWS STS: `api/sts/<noun>.py`, the function is the operation.
May import: api.call, store, wire, link, rules, model, base.
Does not: import another service; it reads their tables.
"""
