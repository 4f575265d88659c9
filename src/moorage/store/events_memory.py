"""Log events without a disk, for tests and for the simulator: durable at once, no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from moorage.model.log import EventQuery, LogEvent, StreamSpan


class MemoryEvents:
    """What `EventStore` promises, in a dictionary."""

    stall_reason: str | None = None  # there is no disk that could refuse

    def __init__(self) -> None:
        self._streams: dict[int, list[LogEvent]] = {}
        self._next_id = 1

    def append(self, stream: int, events: Sequence[tuple[int, str]], ingested_ms: int) -> None:
        kept = self._streams.setdefault(stream, [])
        for timestamp_ms, message in events:
            kept.append(
                LogEvent(timestamp_ms=timestamp_ms, message=message, ingested_ms=ingested_ms, id=self._next_id)
            )
            self._next_id += 1
        kept.sort(key=_key)

    @property
    def settled(self) -> bool:
        return True

    def when_durable(self, then: Callable[[], None]) -> None:
        then()

    def read(self, streams: Sequence[int], query: EventQuery) -> list[tuple[int, LogEvent]]:
        found = [
            (stream, event)
            for stream in dict.fromkeys(streams)
            for event in self._streams.get(stream, ())
            if query.start_ms <= event.timestamp_ms < query.end_ms
            and (query.after is None or _key(event) > query.after)
            and (query.before is None or _key(event) < query.before)
        ]
        found.sort(key=lambda item: _key(item[1]), reverse=not query.forward)
        chosen: list[tuple[int, LogEvent]] = []
        left = query.max_bytes
        for item in found[: query.limit]:
            left -= len(item[1].message.encode())
            if chosen and left < 0:
                break
            chosen.append(item)
        return chosen

    def span(self, stream: int) -> StreamSpan | None:
        events = self._streams.get(stream)
        if not events:
            return None
        return StreamSpan(
            first_ms=events[0].timestamp_ms,
            last_ms=events[-1].timestamp_ms,
            last_ingested_ms=max(event.ingested_ms for event in events),
            stored_bytes=sum(len(event.message.encode()) for event in events),
        )

    def drop(self, streams: Sequence[int]) -> None:
        for stream in streams:
            self._streams.pop(stream, None)

    def expire(self, streams: Sequence[int], before_ms: int) -> None:
        for stream in streams:
            left = [event for event in self._streams.get(stream, ()) if event.timestamp_ms >= before_ms]
            self._streams[stream] = left

    def sweep(self, live: Iterable[int]) -> None:
        kept = frozenset(live)
        self.drop([stream for stream in self._streams if stream not in kept])


def _key(event: LogEvent) -> tuple[int, int]:
    return event.timestamp_ms, event.id
