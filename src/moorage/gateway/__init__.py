"""Does: requests in: the HTTP server, the chain that every API request passes, the agents' websockets.
May import: api, control, store, wire, link, rules, model, base.
Does not: know what an operation means.
"""
