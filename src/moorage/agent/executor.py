"""Carries out what the machine wants, and tells it what came of it.

Everything here runs on the agent's one thread and never waits; blocking work goes to workers. A driver's failure is
an answer like any other and concerns its task alone; any other exception is a bug and stops the agent, whose
containers run on and are adopted by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent.machine import Machine
from moorage.agent.ports import World
from moorage.agent.pulls import Pulls
from moorage.agent.spec import CheckResult, ContainerId, ContainerStatus, DriverError, RootImage, Sandbox, SandboxId

log = logging.getLogger(__name__)

# Every end of a container is told at once; this is for the one that is not, because its supervisor was killed.
INSPECT_EVERY_S: Final = 60.0


class Executor:
    """The machine's hands."""

    def __init__(self, machine: Machine, world: World) -> None:
        self._machine = machine
        self._world = world
        self._pulls = Pulls(world.images, world.pull_workers)

    def feed(self, event: on.Event) -> None:
        """Something happened: do what follows from it."""
        unsaved: list[on.StepFailed] = []
        for command in self._machine.handle(event, self._world.clock.now_s()):
            if isinstance(command, do.SaveTask):
                unsaved += self._save(command)
            else:
                _CARRY_OUT[type(command)](self, command)
        # Told after the commands that came along, which are under way by now, and before anything comes of them.
        for failure in unsaved:
            self.feed(failure)
        self._world.heard(event)

    def exits_readable(self) -> None:
        """Containers have ended; the node knows which, and how."""
        for container, ended in self._world.node.take_exits():
            self.feed(on.ContainerExited(id=container, exit=ended))

    def watch(self) -> None:
        """Look after all running containers, now and then; call once."""
        self._world.timers.call_later(INSPECT_EVERY_S, self.watch)
        running = self._machine.running()
        if running:
            self._inspect_ids(running)

    # ---- images, sandboxes, containers --------------------------------------------------------------------

    def _pull(self, command: do.Pull) -> None:
        def done(image: RootImage | BaseException) -> None:
            if isinstance(image, RootImage):
                self.feed(on.ImagePulled(task=command.task, index=command.index, image=image))
            else:
                self._failed(command.task, "pull", image, command.index)

        self._pulls.ask(command.reference, done)

    def _make_sandbox(self, command: do.MakeSandbox) -> None:
        def done(sandbox: Sandbox | BaseException) -> None:
            if isinstance(sandbox, Sandbox):
                self.feed(on.SandboxMade(task=command.spec.id, sandbox=sandbox))
            else:
                self._failed(command.spec.id, "sandbox", sandbox)

        self._world.node_workers.submit(lambda: self._world.node.create_sandbox(command.spec), done)

    def _start(self, command: do.StartContainer) -> None:
        def done(status: ContainerStatus | BaseException) -> None:
            if isinstance(status, ContainerStatus):
                self.feed(on.ContainerStarted(task=command.task, index=command.index))
            else:
                self._failed(command.task, "start", status, command.index)

        self._world.node_workers.submit(lambda: self._world.node.start_container(command.spec, command.image), done)

    def _restart(self, command: do.RestartContainer) -> None:
        def done(status: ContainerStatus | BaseException) -> None:
            if isinstance(status, ContainerStatus):
                self.feed(on.ContainerStarted(task=command.task, index=command.index))
            else:
                self._failed(command.task, "restart", status, command.index)

        self._world.node_workers.submit(lambda: self._world.node.restart_container(command.spec, command.image), done)

    def _check_health(self, command: do.CheckHealth) -> None:
        def done(result: CheckResult | BaseException) -> None:
            if isinstance(result, BaseException):
                result = CheckResult(exit_code=None, output=_known(result).reason)
            self.feed(on.HealthChecked(task=command.task, index=command.index, round=command.round, result=result))

        self._world.check_workers.submit(
            lambda: self._world.node.check_container(command.id, command.command, command.timeout_s), done
        )

    def _publish_health(self, _: do.PublishHealth) -> None:
        self._world.control.publish_soon()

    def _signal(self, command: do.Signal) -> None:
        def done(failure: BaseException | None) -> None:
            if failure is not None:  # the timer that follows every signal tries again, harder
                log.warning("signal %s to %s: %s", command.signal, command.id, _known(failure))

        self._world.node_workers.submit(lambda: self._world.node.signal_container(command.id, command.signal), done)

    def _inspect(self, command: do.Inspect) -> None:
        self._inspect_ids(command.ids)

    def _inspect_ids(self, ids: Sequence[ContainerId]) -> None:
        def done(statuses: list[ContainerStatus] | BaseException) -> None:
            if isinstance(statuses, BaseException):
                log.warning("looking at %d containers: %s", len(ids), _known(statuses))
                return
            for status in statuses:
                if status.exit is not None:
                    self.feed(on.ContainerExited(id=status.id, exit=status.exit))
            self.feed(on.ContainersSeen(statuses=tuple(statuses)))

        self._world.node_workers.submit(lambda: [self._world.node.status(id_) for id_ in ids], done)

    def _dismantle(self, command: do.Dismantle) -> None:
        def done(failure: BaseException | None) -> None:
            if failure is not None:
                log.error("removing %s: %s", command.task, failure)
                self._failed(command.task, "dismantle", failure)
                return
            self._world.logs.forget(command.task)
            self.feed(on.Dismantled(task=command.task))

        self._world.node_workers.submit(lambda: self._remove(command.task, command.containers), done)

    def _remove_orphan(self, command: do.RemoveOrphan) -> None:
        def done(failure: BaseException | None) -> None:
            if failure is not None:  # the next agent finds it again
                log.error("removing the orphan %s: %s", command.sandbox, _known(failure))

        self._world.node_workers.submit(lambda: self._remove(command.sandbox, command.containers), done)

    def _remove(self, sandbox: SandboxId, containers: Sequence[ContainerId]) -> None:
        for container in containers:
            self._world.node.remove_container(container)
        self._world.node.remove_sandbox(sandbox)

    def _failed(self, task: SandboxId, step: on.Step, failure: BaseException, index: int = 0) -> None:
        known = _known(failure)
        log.info("%s of %s failed: %s", step, task, known)
        self.feed(on.StepFailed(task=task, step=step, index=index, kind=known.kind, reason=known.reason))

    # ---- logs, reports, records, timers -------------------------------------------------------------------

    def _prepare_logs(self, command: do.PrepareLogs) -> None:
        self._world.logs.prepare(command.task, command.plans, self.feed)

    def _follow_logs(self, command: do.FollowLogs) -> None:
        self._world.logs.follow(command.id, command.task, command.plan)

    def _flush_logs(self, command: do.FlushLogs) -> None:
        self._world.logs.flush(command.task, lambda: self.feed(on.LogsFlushed(task=command.task)))

    def _submit(self, command: do.Submit) -> None:
        def done(final: bool) -> None:
            task = command.report.task
            self.feed(on.ReportAccepted(task=task) if final else on.ReportFailed(task=task))

        self._world.control.submit(command.report, done)

    def _save(self, command: do.SaveTask) -> list[on.StepFailed]:
        try:
            self._world.records.save(command.record)
        except OSError as error:
            task = command.record.plan.id
            log.error("the record of %s cannot be written: %s", task, error)
            return [on.StepFailed(task=task, step="record", kind="ResourceInitializationError", reason=str(error))]
        return []

    def _forget(self, command: do.ForgetTask) -> None:
        self._world.records.forget(command.task)

    def _set_timer(self, command: do.SetTimer) -> None:
        event = on.TimerFired(task=command.task, timer=command.timer, index=command.index, round=command.round)
        self._world.timers.call_later(command.after_s, lambda: self.feed(event))

    def _acknowledge(self, command: do.Ack) -> None:
        self._world.control.acknowledge(command.message_id)

    def _verify_stops(self, command: do.VerifyStops) -> None:
        self._world.control.verify_stops(command.message_id, command.tasks)


def _known(failure: BaseException) -> DriverError:
    """A failure that a driver foresees, or that the operating system told; anything else is ours and is raised."""
    if isinstance(failure, DriverError):
        return failure
    if isinstance(failure, OSError):
        return DriverError("ResourceInitializationError", str(failure))
    raise failure


_CARRY_OUT: Final[dict[type[do.Command], Callable[[Executor, Any], None]]] = {
    do.Pull: Executor._pull,
    do.MakeSandbox: Executor._make_sandbox,
    do.PrepareLogs: Executor._prepare_logs,
    do.StartContainer: Executor._start,
    do.RestartContainer: Executor._restart,
    do.CheckHealth: Executor._check_health,
    do.PublishHealth: Executor._publish_health,
    do.Signal: Executor._signal,
    do.Inspect: Executor._inspect,
    do.FollowLogs: Executor._follow_logs,
    do.FlushLogs: Executor._flush_logs,
    do.Dismantle: Executor._dismantle,
    do.RemoveOrphan: Executor._remove_orphan,
    do.Submit: Executor._submit,
    do.ForgetTask: Executor._forget,
    do.SetTimer: Executor._set_timer,
    do.Ack: Executor._acknowledge,
    do.VerifyStops: Executor._verify_stops,
}
