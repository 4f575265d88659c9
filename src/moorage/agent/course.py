"""A task's way through its phases: from what is known of a task to what is to be done next, and to the next phase.

`advance` moves a task as far as what is known of it allows. It may be called at any time and as often as one likes:
what was begun is marked in the task's life and not begun again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from moorage.agent import commands as do
from moorage.agent import order
from moorage.agent.ledger import Ledger
from moorage.agent.life import TaskLife
from moorage.agent.spec import ContainerId, SandboxId
from moorage.agent.task import Phase
from moorage.model.container_instance import Resources

# A pull that takes longer is worth telling of; a warm start is over long before and costs no extra request.
SLOW_START_S: Final = 1.0


class Course:
    """All tasks of one agent, and the commands that moving them has brought forth."""

    def __init__(self, total: Resources) -> None:
        self.ledger = Ledger(total)
        self.tasks: dict[SandboxId, TaskLife] = {}
        self.containers: dict[ContainerId, tuple[TaskLife, int]] = {}
        self.boot = ""
        self.now_s = 0.0
        self.out: list[do.Command] = []

    def advance(self, task: TaskLife) -> None:
        """Move the task as far as what is known of it allows."""
        while (move := _MOVES.get(task.phase)) is not None and move(self, task):
            pass

    def admit(self) -> None:
        """Let in those for whom there is room now."""
        for id_ in self.ledger.admit():
            task = self.tasks[id_]
            task.move("preparing")
            self.prepare(task)

    def prepare(self, task: TaskLife) -> None:
        """Everything that needs no other step first, all at once."""
        if task.ending:
            self.advance(task)
            return
        plan = task.plan
        task.pull_started_at = task.pull_started_at or self.now_s
        task.sandbox_pending = True
        self.out.append(do.MakeSandbox(spec=plan.sandbox))
        for index, container in enumerate(task.containers):
            if container.phase == "new":
                self.out.append(do.Pull(task=plan.id, index=index, reference=container.plan.spec.image))
        logs = tuple(c.plan.log for c in task.containers if c.plan.log is not None)
        task.logs_ready = not logs
        if logs:
            self.out.append(do.PrepareLogs(task=plan.id, plans=logs))
        self.out.append(do.SetTimer(task=plan.id, timer="slow", after_s=SLOW_START_S))

    def _leave_queue(self, task: TaskLife) -> bool:
        """A task that ends before there was room for it: nothing was made, nothing is to be removed."""
        if not task.ending:
            return False
        self._stop_unstarted(task)
        task.move("stopped")
        self.gone(task)
        return True

    def _begin_start(self, task: TaskLife) -> bool:
        """From preparing on, once all is there; or to the cleaning, once the sandbox has answered."""
        if task.sandbox_pending:
            return False
        if task.ending and not any(c.phase in ("running", "restarting") for c in task.containers):
            self._stop_unstarted(task)
            task.move("cleaning")
            self.clean(task)
            return False
        ready = task.logs_ready and task.sandbox_made and not task.unpulled
        if not ready and not task.ending:
            return False
        task.move("starting")
        return True

    def _start_next(self, task: TaskLife) -> bool:
        """Containers start one after the other, as soon as their dependencies let them, else in the definition's
        order."""
        if task.pending_start is not None:
            return False
        if task.ending and not all(c.ever_started for c in task.containers):
            task.move("stopping")
            return True
        unstarted = [index for index, container in enumerate(task.containers) if container.phase == "new"]
        if not unstarted:  # it did run, however short, and is told to have run
            task.move("running")
            self.report(task)
            self.save(task)
            return True
        for index in unstarted:
            gate = order.gate(task.containers, index, self.now_s)
            if isinstance(gate, order.GaveUp):
                task.containers[index].fail(gate.reason, order.GAVE_UP_CODE)
                return True  # which may be the end of others, or of the task
            if gate == "open":
                self._start(task, index)
                return False
        self._tell_progress(task)
        return False

    def _start(self, task: TaskLife, index: int) -> None:
        container = task.containers[index]
        assert container.image is not None, f"{container.plan.spec.id}: started without an image"
        container.move("starting")
        task.pending_start = index
        if container.plan.restart is not None:
            self.save(task)  # its image must be known to an agent that has to start it again
        self.out.append(
            do.StartContainer(task=task.plan.id, index=index, spec=container.plan.spec, image=container.image)
        )

    def _tell_progress(self, task: TaskLife) -> None:
        """A start that waits for what other containers come to may take long: what they come to is worth telling."""
        report = task.report()
        if report != task.progress:
            task.progress = report
            self.report(task)

    def _begin_stop(self, task: TaskLife) -> bool:
        if not task.ending:
            return False
        task.move("stopping")
        return True

    def _end_containers(self, task: TaskLife) -> bool:
        """Ask all that run to end, each once nobody depends on it any more; wait until they have, then clean."""
        self._stop_unstarted(task)
        ready = [
            index
            for index, container in enumerate(task.containers)
            if container.phase == "running"
            and not container.signalled
            and not order.is_needed(task.containers, index)
        ]
        if ready and not task.stop_wanted and not any(container.signalled for container in task.containers):
            self.save(task)  # why it ends may be known here alone: the next agent must not let it go on
        for index in ready:
            self._ask_to_end(task, index)
        if any(container.phase != "stopped" for container in task.containers):
            return False
        task.move("cleaning")
        self.clean(task)
        return False

    def _ask_to_end(self, task: TaskLife, index: int) -> None:
        container = task.containers[index]
        container.signalled = True
        self.out.append(do.Signal(id=container.plan.spec.id, signal=container.stop_signal))
        wait_s = container.plan.stop_timeout_s
        self.out.append(do.SetTimer(task=task.plan.id, timer="kill", index=index, after_s=wait_s))

    def _stop_unstarted(self, task: TaskLife) -> None:
        for container in task.containers:
            if container.phase == "new":
                container.fail(task.reason)

    def clean(self, task: TaskLife) -> None:
        """How the containers ended is on disk before the node forgets it."""
        self.save(task)
        if any(c.ever_started and c.plan.log is not None for c in task.containers):
            self.out.append(do.FlushLogs(task=task.plan.id))
        else:
            self.dismantle(task)

    def dismantle(self, task: TaskLife) -> None:
        """Remove all of it from the node."""
        ids = tuple(container.plan.spec.id for container in task.containers)
        self.out.append(do.Dismantle(task=task.plan.id, containers=ids))

    def gone(self, task: TaskLife) -> None:
        """Nothing of it is left here: tell, and let the next ones in."""
        for container in task.containers:
            self.containers.pop(container.plan.spec.id, None)
        self.save(task)
        self.report(task)
        self.ledger.release(task.plan.id)
        self.admit()

    def add(self, task: TaskLife) -> None:
        """Take a task into the picture."""
        self.tasks[task.plan.id] = task
        for index, container in enumerate(task.containers):
            self.containers[container.plan.spec.id] = (task, index)

    def save(self, task: TaskLife) -> None:
        """What must outlive the agent."""
        self.out.append(do.SaveTask(record=task.record(self.boot)))

    def report(self, task: TaskLife) -> None:
        """Tell of the task as it is now; a report of the same status that was not sent yet is replaced."""
        report = task.report()
        waiting = task.reports[1:] if task.report_sent else task.reports
        if waiting and waiting[-1].status == report.status:
            task.reports[-1] = report
        else:
            task.reports.append(report)
        self.send_report(task)

    def send_report(self, task: TaskLife) -> None:
        if task.reports and not task.report_sent:
            task.report_sent = True
            self.out.append(do.Submit(report=task.reports[0]))


_MOVES: Final[dict[Phase, Callable[[Course, TaskLife], bool]]] = {
    "waiting": Course._leave_queue,
    "preparing": Course._begin_start,
    "starting": Course._start_next,
    "running": Course._begin_stop,
    "stopping": Course._end_containers,
}
