"""The awslogs driver: what containers print becomes events of a CloudWatch Logs stream while they run.

The container's own log file is the buffer, so a slow or absent Logs service neither blocks the container (whatever
`mode` says) nor loses a line, up to the file's own bound. How far a file was sent is saved after every acknowledged
batch: an agent killed between the two sends that one batch again, and nothing else twice or never.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from moorage.agent import events as on
from moorage.agent.api import Api, ApiRefused
from moorage.agent.background import Background
from moorage.agent.logbatch import LogEvent, batches
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.task import LogPlan
from moorage.base.errors import Unavailable

log = logging.getLogger(__name__)

# Lines are seen at most this late. A stat of a file costs about two microseconds: of 1,000, 0.4 % of a core.
LOOK_EVERY_S: Final = 0.5
SENDING_AT_ONCE: Final = 8  # streams; each sends one batch after the other
RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 10.0
# A task whose streams cannot be made does not start; a server that restarts is back well within this.
PREPARE_TRIES: Final = 8


class LogTail(Protocol):
    """One container's output on this node, from some position on. One thread at a time."""

    def size(self) -> int:
        """Changes whenever something was written; cheap."""
        ...

    def read(self) -> list[tuple[int, str]]:
        """The next (time in ms, text) lines, a bounded number of them; none at the end. Blocks."""
        ...

    def finish(self) -> list[tuple[int, str]]:
        """When nothing more will be written: a last line without its end. Blocks."""
        ...

    @property
    def position(self) -> str:
        """Where another tail would go on."""
        ...

    def close(self) -> None: ...


class LogSource(Protocol):
    def open(self, container: ContainerId, position: str) -> LogTail:
        """From a position on; "" is the beginning."""
        ...


class _Follower:
    """One container's log on its way."""

    def __init__(self, container: ContainerId, task: SandboxId, plan: LogPlan, tail: LogTail) -> None:
        self.container = container
        self.task = task
        self.plan = plan
        self.tail = tail
        self.seen_size = -1
        self.pumping = False
        self.final = False
        self.drained = asyncio.Event()  # all was sent, and nothing more will come


class _StreamName(msgspec.Struct, frozen=True, rename="camel"):
    log_group_name: str
    log_stream_name: str


class _GroupName(msgspec.Struct, frozen=True, rename="camel"):
    log_group_name: str


class _PutLogEvents(msgspec.Struct, frozen=True, rename="camel"):
    log_group_name: str
    log_stream_name: str
    log_events: list[LogEvent]


class _Nothing(msgspec.Struct, frozen=True):
    """An answer whose content is not read."""


class LogShipper:
    """Follows every container that has a log plan."""

    def __init__(self, api_in: Callable[[str], Api], source: LogSource, directory: Path, work: Background) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._api_in = api_in
        self._source = source
        self._directory = directory
        self._work = work
        self._followers: dict[ContainerId, _Follower] = {}
        self._slots = asyncio.Semaphore(SENDING_AT_ONCE)
        self._looking = False

    # ---- before a start -----------------------------------------------------------------------------------

    def prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[on.Event], None]) -> None:
        self._work.spawn(self._prepare(task, plans, done))

    async def _prepare(self, task: SandboxId, plans: Sequence[LogPlan], done: Callable[[on.Event], None]) -> None:
        try:
            await asyncio.gather(*(self._ensure_patiently(plan) for plan in plans))
        except (ApiRefused, Unavailable) as error:
            told = f"{error.code}: {error.message}" if isinstance(error, ApiRefused) else str(error)
            reason = (
                "failed to validate logger args: create stream has been retried 1 times: "
                f"failed to create Cloudwatch log stream: {told}"
            )
            done(on.StepFailed(task=task, step="logs", kind="ResourceInitializationError", reason=reason))
        else:
            done(on.LogsPrepared(task=task))

    async def _ensure_patiently(self, plan: LogPlan) -> None:
        for attempt in range(PREPARE_TRIES - 1):
            try:
                return await self._ensure(plan)
            except Unavailable as error:
                log.warning("log stream %s: %s", plan.stream, error)
                await asyncio.sleep(_pause_s(attempt))
        return await self._ensure(plan)

    async def _ensure(self, plan: LogPlan) -> None:
        """The stream is there when this returns; the group is made only where the definition asks for it."""
        api = self._api_in(plan.region)
        stream = _StreamName(plan.group, plan.stream)
        try:
            await _create(api, "CreateLogStream", stream)
        except ApiRefused as error:
            if error.code != "ResourceNotFoundException" or not plan.create_group:
                raise
            await _create(api, "CreateLogGroup", _GroupName(plan.group))
            await _create(api, "CreateLogStream", stream)

    # ---- while it runs ------------------------------------------------------------------------------------

    def follow(self, container: ContainerId, task: SandboxId, plan: LogPlan) -> None:
        """Begin where an earlier agent got to."""
        tail = self._source.open(container, self._load(container))
        self._followers[container] = _Follower(container, task, plan, tail)
        if not self._looking:
            self._looking = True
            self._look()

    def flush(self, task: SandboxId, done: Callable[[], None]) -> None:
        """Send the rest; then follow no more and call `done`."""
        self._work.spawn(self._flush([f for f in self._followers.values() if f.task == task], done))

    async def _flush(self, followers: list[_Follower], done: Callable[[], None]) -> None:
        for follower in followers:
            follower.final = True
            self._begin_pump(follower)
        for follower in followers:
            await follower.drained.wait()
            del self._followers[follower.container]
            follower.tail.close()
        done()

    def forget(self, task: SandboxId) -> None:
        """Remove the offsets of a task that is gone."""
        for path in self._directory.glob(f"{task}-*"):
            path.unlink(missing_ok=True)

    def _look(self) -> None:
        """See whose file has grown; sleep for good where nothing is followed."""
        for follower in self._followers.values():
            if not follower.pumping and follower.tail.size() != follower.seen_size:
                self._begin_pump(follower)
        self._looking = bool(self._followers)
        if self._looking:
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _begin_pump(self, follower: _Follower) -> None:
        if not follower.pumping:
            follower.pumping = True
            self._work.spawn(self._pump(follower))

    async def _pump(self, follower: _Follower) -> None:
        """Send until the end of the file as it is now."""
        tail = follower.tail
        while True:
            final = follower.final
            follower.seen_size = tail.size()
            lines = await asyncio.to_thread(tail.read)
            if not lines and final:
                await self._send(follower, await asyncio.to_thread(tail.finish))
                follower.drained.set()
                return
            if not lines and not follower.final:
                break
            await self._send(follower, lines)
        follower.pumping = False

    async def _send(self, follower: _Follower, lines: list[tuple[int, str]]) -> None:
        for batch in batches(lines):
            attempt = 0
            while not await self._put(follower, batch):
                await asyncio.sleep(_pause_s(attempt))
                attempt += 1
        if lines:
            self._save(follower)

    async def _put(self, follower: _Follower, batch: list[LogEvent]) -> bool:
        """Whether the batch needs no further try: taken, or refused for good."""
        plan = follower.plan
        request = _PutLogEvents(plan.group, plan.stream, batch)
        try:
            async with self._slots:
                await self._api_in(plan.region).call("logs", "PutLogEvents", request, _Nothing)
        except Unavailable as error:
            log.warning("logs of %s: %s", follower.container, error)
            return False
        except ApiRefused as error:
            if error.code == "ResourceNotFoundException" and await self._restored(plan):
                return False
            log.error("logs of %s: %d events are dropped: %s", follower.container, len(batch), error)
        return True

    async def _restored(self, plan: LogPlan) -> bool:
        """Somebody deleted the stream while the container runs: whether it is there again."""
        try:
            await self._ensure(plan)
        except ApiRefused:
            return False
        except Unavailable:
            return True
        return True

    # ---- offsets --------------------------------------------------------------------------------------------

    def _load(self, container: ContainerId) -> str:
        try:
            return (self._directory / container).read_text()
        except FileNotFoundError:
            return ""

    def _save(self, follower: _Follower) -> None:
        """A disk that is full costs a repetition after the agent's death, no more."""
        fresh = self._directory / f"{follower.container}.new"
        try:
            fresh.write_text(follower.tail.position)
            fresh.replace(self._directory / follower.container)
        except OSError as error:
            log.error("the log position of %s cannot be saved: %s", follower.container, error)


async def _create(api: Api, operation: str, what: msgspec.Struct) -> None:
    """Create it, unless it is there."""
    try:
        await api.call("logs", operation, what, _Nothing)
    except ApiRefused as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def _pause_s(attempt: int) -> float:
    return min(RETRY_MIN_S * 2.0 ** min(attempt, 16), RETRY_MAX_S)
