"""Does: answers what containers and the host ask an agent about its tasks: metadata, statistics, introspection.
May import: the agent's values and its API client, model, base.
Does not: change a task, touch the host (it is handed what the node knows), give credentials (no task has a role yet).
"""
