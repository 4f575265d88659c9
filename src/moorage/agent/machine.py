"""The node's state machine: events in, commands out. No clock, no disk, no socket, no thread.

It is level-triggered in the small: here an event writes down what became known of a task, and `course.advance` moves
the task as far as what is known allows. So every step has one place that begins it, whatever led there: a fresh
start, a restarted agent, a stop in the middle of a pull.

The caller carries out the commands of one event in their order, and feeds what comes of them back as events. Do not
change a task's life from outside, ever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent.adoption import adopt
from moorage.agent.course import Course
from moorage.agent.ledger import Ledger
from moorage.agent.life import TaskLife, new_life
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.task import Report, TaskPlan
from moorage.agent.vitals import Vitals
from moorage.model.container_instance import Resources

# What SIGKILL gets before it is sent again. Only a process in an uninterruptible sleep outlives it.
KILL_AGAIN_S: Final = 10.0
# A failed report is sent again soon, then ever more rarely; a restored session sends all of them at once.
REPORT_AGAIN_MIN_S: Final = 0.03
REPORT_AGAIN_MAX_S: Final = 30.0
# Removing may fail for a while (a busy mount); the address must not be told free before it is, so we never give up.
DISMANTLE_AGAIN_MIN_S: Final = 0.5
DISMANTLE_AGAIN_MAX_S: Final = 30.0
# Tasks whose end was acknowledged, lest a payload that was under way starts one again. At 200 tasks a second this
# is over two minutes of memory; a payload that old has long been superseded by its session's end.
FINISHED_KEPT: Final = 32_768


def backoff_s(attempt: int, least_s: float, most_s: float) -> float:
    """Doubling from `least_s`, never above `most_s`."""
    return min(least_s * 2.0 ** min(attempt, 32), most_s)


class Machine:
    """All tasks of one agent."""

    def __init__(self, total: Resources) -> None:
        self._course = Course(total)
        self._vitals = Vitals(self._course)
        self._finished: OrderedDict[SandboxId, None] = OrderedDict()
        self._unreadable: set[SandboxId] = set()
        self._seq_num = -1
        self._order = 0

    def handle(self, event: on.Event, now_s: float) -> list[do.Command]:
        """What is to be done about `event`, in order."""
        self._course.now_s = now_s
        self._course.out = []
        _HANDLERS[type(event)](self, event)
        return self._course.out

    @property
    def ledger(self) -> Ledger:
        return self._course.ledger

    @property
    def tasks(self) -> Mapping[SandboxId, TaskLife]:
        """To look at, for logs, checkers and tests."""
        return self._course.tasks

    def running(self) -> tuple[ContainerId, ...]:
        """The containers that run as far as is known: ask the node now and then whether they do."""
        return tuple(
            id_ for id_, (task, index) in self._course.containers.items() if task.containers[index].phase == "running"
        )

    # ---- messages of the control plane --------------------------------------------------------------------

    def _payload(self, event: on.PayloadReceived) -> None:
        """Stops come before starts, so that what a stop frees can be had. All or no acknowledgement: without one the
        control plane sends again what it has not heard the end of."""
        self._seq_num = max(self._seq_num, event.seq_num)
        strangers = [order for order in event.stop if order.id not in self._course.tasks]
        for order in event.stop:
            self._stop(order.id)
        for order in strangers:
            self._never_started(order)
        for plan in event.run:
            self._accept(plan)
        for refusal in event.refused:
            self._refuse(refusal)
        if not event.refused and not strangers:
            self._course.out.append(do.Ack(message_id=event.message_id))
        self._course.admit()

    def _accept(self, plan: TaskPlan) -> None:
        """Take a task on; one that is known, or was, is not begun again."""
        if plan.id in self._course.tasks or plan.id in self._finished:
            return
        task = new_life(plan, self._order)
        self._order += 1
        self._course.add(task)
        if plan.id in self._unreadable:
            task.reason = "ContainerVanishedError: the agent lost its record of this task"
        elif impossible := self._course.ledger.impossible(plan.need):
            task.reason = f"ResourceInitializationError: {impossible}"
        else:
            self._course.save(task)
            self._course.ledger.wait(plan.id, plan.need)
            return
        self._course.advance(task)

    def _never_started(self, order: on.StopOrder) -> None:
        """Told to end what is not here: it was stopped before we heard of it, or its last report got lost."""
        self._finish(order.id)
        report = Report(task=order.id, arn=order.arn, cluster=order.cluster, status="STOPPED")
        self._course.out.append(do.Submit(report=report))

    def _refuse(self, refusal: on.Refusal) -> None:
        """Nothing is remembered of it: the control plane sends it again until it has heard the answer."""
        if refusal.id in self._course.tasks:
            return
        report = Report(
            task=refusal.id, arn=refusal.arn, cluster=refusal.cluster, status="STOPPED", reason=refusal.reason
        )
        self._course.out.append(do.Submit(report=report))

    def _manifest(self, event: on.ManifestReceived) -> None:
        if event.timeline <= self._seq_num:
            return  # older than a payload that was already taken: it may miss that payload's tasks
        self._seq_num = event.timeline
        self._course.out.append(do.Ack(message_id=event.message_id))
        wanted = set(event.running)
        stray = [task for id_, task in self._course.tasks.items() if id_ not in wanted and not task.ending]
        if stray:
            asked = tuple((task.plan.arn, task.plan.cluster) for task in stray)
            self._course.out.append(do.VerifyStops(message_id=event.message_id, tasks=asked))

    def _stops_verified(self, event: on.StopsVerified) -> None:
        for id_ in event.tasks:
            self._stop(id_)
        self._course.admit()

    def _session_opened(self, _: on.SessionOpened) -> None:
        for task in self._course.tasks.values():
            self._course.send_report(task)

    def _stop(self, id_: SandboxId) -> None:
        task = self._course.tasks.get(id_)
        if task is None or task.stop_wanted:
            return
        task.stop_wanted = True
        if task.phase not in ("cleaning", "stopped"):
            self._course.save(task)
        self._course.advance(task)

    # ---- steps that came back -----------------------------------------------------------------------------

    def _image_pulled(self, event: on.ImagePulled) -> None:
        task = self._course.tasks.get(event.task)
        if task is None or task.phase != "preparing":
            return  # the task ended while it was being pulled
        container = task.containers[event.index]
        if container.phase == "new":
            container.pulled(event.image)
        if not task.unpulled:
            task.pull_stopped_at = task.pull_stopped_at or self._course.now_s
        self._course.advance(task)

    def _sandbox_made(self, event: on.SandboxMade) -> None:
        task = self._course.tasks[event.task]
        task.sandbox_pending = False
        task.sandbox_made = True
        task.ports = event.sandbox.ports
        self._course.advance(task)

    def _logs_prepared(self, event: on.LogsPrepared) -> None:
        task = self._course.tasks.get(event.task)
        if task is not None and task.phase == "preparing":
            task.logs_ready = True
            self._course.advance(task)

    def _step_failed(self, event: on.StepFailed) -> None:
        task = self._course.tasks.get(event.task)
        reason = f"{event.kind}: {event.reason}"
        if event.step == "dismantle":
            assert task is not None, f"{event.task}: dismantled without a task"
            wait_s = backoff_s(task.attempts, DISMANTLE_AGAIN_MIN_S, DISMANTLE_AGAIN_MAX_S)
            task.attempts += 1
            self._course.out.append(do.SetTimer(task=event.task, timer="dismantle", after_s=wait_s))
            return
        if event.step == "record":
            # Without a record the next agent could start the task a second time: better not at all. One that
            # runs already is not ended for it; its record is written again when something changes.
            if task is not None and task.phase in ("waiting", "preparing"):
                task.reason = task.reason or reason
                self._course.advance(task)
            return
        if event.step in ("sandbox", "start", "restart"):
            assert task is not None, f"{event.task}: {event.step} without a task"
        elif task is None or task.phase != "preparing":
            return  # pulls and log streams are left behind when a task ends
        if event.step == "pull":
            if task.containers[event.index].phase == "new":
                task.containers[event.index].fail(reason)
        elif event.step == "start":
            task.pending_start = None
            task.containers[event.index].fail(reason)
        elif event.step == "restart":
            self._vitals.restart_failed(task, event.index, reason)
        else:
            task.sandbox_pending = task.sandbox_pending and event.step != "sandbox"
            task.reason = task.reason or reason
        self._course.advance(task)

    def _logs_flushed(self, event: on.LogsFlushed) -> None:
        task = self._course.tasks[event.task]
        assert task.phase == "cleaning", f"{event.task}: flushed while {task.phase}"
        self._course.dismantle(task)

    def _dismantled(self, event: on.Dismantled) -> None:
        task = self._course.tasks[event.task]
        task.attempts = 0
        task.move("stopped")
        self._course.gone(task)

    # ---- reports and timers -------------------------------------------------------------------------------

    def _report_accepted(self, event: on.ReportAccepted) -> None:
        task = self._course.tasks.get(event.task)
        if task is None:
            return  # a refused payload's
        del task.reports[0]
        task.report_sent = False
        task.attempts = 0
        if task.reports:
            self._course.send_report(task)
        elif task.phase == "stopped":
            self._forget(task)

    def _report_failed(self, event: on.ReportFailed) -> None:
        task = self._course.tasks.get(event.task)
        if task is None:
            return  # a refused payload's; the control plane sends that task again, and is told again
        task.report_sent = False
        wait_s = backoff_s(task.attempts, REPORT_AGAIN_MIN_S, REPORT_AGAIN_MAX_S)
        task.attempts += 1
        self._course.out.append(do.SetTimer(task=event.task, timer="report", after_s=wait_s))

    def _timer_fired(self, event: on.TimerFired) -> None:
        task = self._course.tasks.get(event.task)
        if task is None:
            return
        if event.timer == "slow" and task.phase == "preparing":
            self._course.report(task)
        elif event.timer == "await":
            self._course.advance(task)
        elif event.timer == "health":
            self._vitals.check_due(task, event)
        elif event.timer == "report":
            self._course.send_report(task)
        elif event.timer == "dismantle" and task.phase == "cleaning":
            self._course.dismantle(task)
        elif event.timer == "kill" and task.containers[event.index].phase == "running":
            id_ = task.containers[event.index].plan.spec.id
            self._course.out.append(do.Signal(id=id_, signal="SIGKILL"))
            self._course.out.append(do.Inspect(ids=(id_,)))
            self._course.out.append(
                do.SetTimer(task=event.task, timer="kill", index=event.index, after_s=KILL_AGAIN_S)
            )

    # ---- what an earlier agent left -----------------------------------------------------------------------

    def _adopted(self, event: on.Adopted) -> None:
        self._course.boot = event.boot
        self._unreadable = set(event.unreadable)
        found = adopt(event, self._course.now_s)
        self._course.out.extend(
            do.RemoveOrphan(sandbox=orphan.sandbox, containers=orphan.containers) for orphan in found.orphans
        )
        for task in found.tasks:
            self._order = max(self._order, task.order + 1)
            self._course.add(task)
            if task.phase == "waiting":
                self._course.ledger.wait(task.plan.id, task.plan.need)
            elif task.phase != "stopped":
                self._course.ledger.hold(task.plan.id, task.plan.need)
        left = [(task, task.phase) for task in found.tasks]
        for task, phase in left:
            if task.phase == phase:  # else the end of one before it has let this one in, and it is on its way
                self._go_on(task)
        self._course.admit()

    def _go_on(self, task: TaskLife) -> None:
        """Take up an adopted task where it was left."""
        for index, container in enumerate(task.containers):
            if container.phase == "running":
                self._vitals.watch(task, index)
            elif container.phase == "restarting":
                self._course.save(task)
                self._vitals.restart(task, index)
            if container.ever_started and container.plan.log is not None and task.phase != "stopped":
                id_ = container.plan.spec.id
                self._course.out.append(do.FollowLogs(id=id_, task=task.plan.id, plan=container.plan.log))
        if task.phase == "preparing":
            self._course.prepare(task)
        elif task.phase == "cleaning":
            self._course.clean(task)
        elif task.phase == "stopped":
            self._course.report(task)
        else:
            if task.phase == "running" and not task.ending:
                self._course.report(task)
            self._course.advance(task)

    def _forget(self, task: TaskLife) -> None:
        del self._course.tasks[task.plan.id]
        self._finish(task.plan.id)
        self._course.out.append(do.ForgetTask(task=task.plan.id))

    def _finish(self, id_: SandboxId) -> None:
        self._finished[id_] = None
        if len(self._finished) > FINISHED_KEPT:
            self._finished.popitem(last=False)


_HANDLERS: Final[dict[type[on.Event], Callable[[Machine, Any], None]]] = {
    on.PayloadReceived: Machine._payload,
    on.ManifestReceived: Machine._manifest,
    on.StopsVerified: Machine._stops_verified,
    on.SessionOpened: Machine._session_opened,
    on.ImagePulled: Machine._image_pulled,
    on.SandboxMade: Machine._sandbox_made,
    on.LogsPrepared: Machine._logs_prepared,
    on.ContainerStarted: lambda machine, event: machine._vitals.started(event),
    on.ContainerExited: lambda machine, event: machine._vitals.exited(event),
    on.ContainersSeen: lambda machine, event: machine._vitals.seen(event),
    on.HealthChecked: lambda machine, event: machine._vitals.checked(event),
    on.LogsFlushed: Machine._logs_flushed,
    on.Dismantled: Machine._dismantled,
    on.StepFailed: Machine._step_failed,
    on.ReportAccepted: Machine._report_accepted,
    on.ReportFailed: Machine._report_failed,
    on.TimerFired: Machine._timer_fired,
    on.Adopted: Machine._adopted,
}
