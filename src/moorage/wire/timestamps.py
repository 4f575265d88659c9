"""Seconds since the epoch, to and from the text forms that AWS's protocols use."""

from __future__ import annotations

from datetime import UTC, datetime

_EPOCH_TEXT_MAX = 40  # characters; longer than any date that a client writes


def iso8601(seconds: float) -> str:
    """Such as `2026-01-31T12:00:00Z`; milliseconds only where there are some, as AWS writes them."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def from_text(text: str) -> float | None:
    """Seconds since the epoch from ISO 8601 or from a plain number; None where it is neither."""
    if len(text) > _EPOCH_TEXT_MAX:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _number(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if abs(seconds) < 1e13 else None  # also refuses inf and nan
