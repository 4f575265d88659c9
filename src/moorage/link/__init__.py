"""Does: the published ECS agent protocol as messages: ACS, TCS, and the Docker shapes inside them.
May import: model, base.
Does not: hold a connection or decide anything.
"""
