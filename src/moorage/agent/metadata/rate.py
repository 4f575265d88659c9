"""The endpoint's rate: 40 requests a second, 60 at once, for all the containers of the node together."""

from __future__ import annotations

from typing import Final

# The published agent's ECS_TASK_METADATA_RPS_LIMIT. It keeps a container that asks in a loop from keeping the agent
# from its work, not one container from another.
STEADY_PER_S: Final = 40.0
BURST: Final = 60.0


class Rate:
    """A bucket of tokens that fills steadily."""

    def __init__(self, now_s: float) -> None:
        self._tokens = BURST
        self._at_s = now_s

    def allows(self, now_s: float) -> bool:
        """Whether one more request may be answered now."""
        self._tokens = min(BURST, self._tokens + (now_s - self._at_s) * STEADY_PER_S)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
