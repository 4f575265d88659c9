"""Whether a container is healthy, judged from the ends of its checks as Docker judges them. Pure.

One success makes it healthy; `retries` failures in a row make it unhealthy. Failures during the start period of a
container that was never healthy do not count.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from moorage.agent.spec import CheckResult
from moorage.agent.task import Health, HealthPlan, HealthStatus

OUTPUT_MAX_CHARS: Final = 1024  # as much as the published agent passes on


def judged(before: Health, plan: HealthPlan, result: CheckResult, ran_s: float, now_s: float) -> Health:
    """A container's health after one more check, when it has run for `ran_s`."""
    heard = replace(before, exit_code=result.exit_code, output=result.output[:OUTPUT_MAX_CHARS])
    if result.exit_code == 0:
        return _became(replace(heard, failures=0), "HEALTHY", now_s)
    if before.status == "UNKNOWN" and ran_s < plan.start_period_s:
        return heard
    heard = replace(heard, failures=min(before.failures + 1, plan.retries))
    return _became(heard, "UNHEALTHY", now_s) if heard.failures >= plan.retries else heard


def _became(health: Health, status: HealthStatus, now_s: float) -> Health:
    if health.status == status:
        return health
    return replace(health, status=status, since_s=now_s)
