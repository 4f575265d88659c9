"""Whether a container that ended is started again. Pure."""

from __future__ import annotations

from moorage.agent.life import ContainerLife
from moorage.agent.spec import Exit


def is_due(container: ContainerLife, exit_: Exit, ended_s: float) -> bool:
    """Whether the policy starts it again: it ended by itself, with a code that is not ignored, and ran long enough.

    Whether its task goes on at all is the caller's question.
    """
    policy = container.plan.restart
    if policy is None or exit_.code is None or exit_.code in policy.ignored_codes or container.signalled:
        return False
    return container.began_s is not None and ended_s - container.began_s >= policy.period_s


def is_old_news(container: ContainerLife, exit_: Exit) -> bool:
    """Whether this is the end after which the container was started again: it is told more than once."""
    return container.restarted_at is not None and 0 < exit_.at_s <= container.restarted_at
