"""Limits that more than one room keeps: each has a number, a unit and a reason."""

from __future__ import annotations

from typing import Final

# The agent reports itself by websocket traffic; the published agent closes a socket that was silent for 60 s.
HEARTBEAT_PERIOD_S: Final = 20.0
# An instance that has been away this long is taken for lost and its Fargate tasks are stopped.
NODE_LOST_AFTER_S: Final = 90.0
assert NODE_LOST_AFTER_S >= 3 * HEARTBEAT_PERIOD_S  # Two lost beats are not a lost node.

# ECS promises that a stopped task can be described for at least an hour.
STOPPED_TASK_KEPT_S: Final = 3600.0
# RunTask's client token; ECS does not publish the retention, a day covers every retry policy we know.
CLIENT_TOKEN_KEPT_S: Final = 86_400.0

# One request body; the largest operation ECS has (RegisterTaskDefinition) is capped at 64 KiB, PutLogEvents
# at 1 MiB of events. Blobs of the registry are streamed and have their own bound.
REQUEST_BODY_MAX_BYTES: Final = 4 * 1024 * 1024
# Requests from a clock further off than this are refused, as AWS does for most services.
CLOCK_SKEW_MAX_S: Final = 15 * 60.0
