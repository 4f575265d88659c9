"""Lines into batches that PutLogEvents takes. Source: CloudWatch Logs API reference, PutLogEvents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

BATCH_EVENTS_MAX: Final = 10_000
BATCH_BYTES_MAX: Final = 1_048_576  # UTF-8 bytes of the messages and EVENT_OVERHEAD_BYTES for each
EVENT_OVERHEAD_BYTES: Final = 26
BATCH_SPAN_MAX_MS: Final = 24 * 3600 * 1000
# The event's limit that the awslogs driver has always kept to: longer lines become several events.
EVENT_BYTES_MAX: Final = 262_144 - EVENT_OVERHEAD_BYTES
# Of the request: control characters grow sixfold in JSON, and a server may take no more than 4 MiB of body.
BATCH_JSON_BYTES_MAX: Final = 3 * 1024 * 1024


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: int  # milliseconds since the epoch
    message: str


_encode = msgspec.json.Encoder().encode


def batches(lines: Iterable[tuple[int, str]]) -> Iterator[list[LogEvent]]:
    """(time in ms, text) pairs, in the order they were printed, as batches in order of time."""
    batch: list[LogEvent] = []
    size = json_size = 0
    for event in _events(lines):
        weight = len(event.message.encode()) + EVENT_OVERHEAD_BYTES
        json_weight = len(_encode(event)) + 1
        if batch and (
            len(batch) == BATCH_EVENTS_MAX
            or size + weight > BATCH_BYTES_MAX
            or json_size + json_weight > BATCH_JSON_BYTES_MAX
            or event.timestamp - batch[0].timestamp >= BATCH_SPAN_MAX_MS
        ):
            yield batch
            batch, size, json_size = [], 0, 0
        batch.append(event)
        size += weight
        json_size += json_weight
    if batch:
        yield batch


def _events(lines: Iterable[tuple[int, str]]) -> Iterator[LogEvent]:
    """A clock that was set back must not break the order that the API asks for: time stands still instead."""
    latest = 0
    for time_ms, text in lines:
        latest = max(latest, time_ms)
        for piece in _pieces(text):
            yield LogEvent(timestamp=latest, message=piece)


def _pieces(text: str) -> Iterator[str]:
    """The text in events of legal size; none for an empty line, which the API does not take."""
    if len(text) * 4 <= EVENT_BYTES_MAX or len(text.encode()) <= EVENT_BYTES_MAX:
        if text:
            yield text
        return
    data = text.encode()
    start = 0
    while start < len(data):
        end = min(start + EVENT_BYTES_MAX, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1  # not in the middle of a character
        yield data[start:end].decode()
        start = end
