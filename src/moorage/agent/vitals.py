"""What becomes of a task's containers while they live: started, checked, ended, started again.

A part of the machine, as `course` is, and under the same rule: events in, commands out.
"""

from __future__ import annotations

from moorage.agent import commands as do
from moorage.agent import events as on
from moorage.agent import order, restarts
from moorage.agent.course import Course
from moorage.agent.health import judged
from moorage.agent.life import TaskLife
from moorage.agent.spec import ContainerStatus, Exit
from moorage.agent.task import Health


class Vitals:
    """The containers of all tasks of one agent."""

    def __init__(self, course: Course) -> None:
        self._course = course

    # ---- starts -------------------------------------------------------------------------------------------

    def started(self, event: on.ContainerStarted) -> None:
        """For the first time or again."""
        task = self._course.tasks[event.task]
        container = task.containers[event.index]
        if container.phase == "starting":
            assert task.pending_start == event.index, f"{event.task}: container {event.index} was not being started"
            task.pending_start = None
        first = not container.ever_started
        container.began(self._course.now_s)
        if first and container.plan.log is not None:
            id_ = container.plan.spec.id
            self._course.out.append(do.FollowLogs(id=id_, task=event.task, plan=container.plan.log))
        self.watch(task, event.index)
        if not first and container.plan.health is not None:
            self._course.out.append(do.PublishHealth())  # what was known of it is void
        if first and container.plan.start_timeout_s is not None and order.is_awaited(task.containers, event.index):
            self._course.save(task)  # the time that it has runs on while no agent does
        if container.exit is not None:  # it ended before its start was told
            self._ended(task, event.index, container.exit)
        self._course.advance(task)

    def watch(self, task: TaskLife, index: int) -> None:
        """What a running container is to be looked after for."""
        container, now_s = task.containers[index], self._course.now_s
        timeout_s = container.plan.start_timeout_s
        if timeout_s is not None and order.is_awaited(task.containers, index):
            left_s = max(0.0, (container.started_at or now_s) + timeout_s - now_s)
            self._course.out.append(do.SetTimer(task=task.plan.id, timer="await", index=index, after_s=left_s))
        if container.plan.health is not None:
            container.health = container.health or Health(since_s=now_s)
            self._check_later(task, index)

    # ---- health -------------------------------------------------------------------------------------------

    def _check_later(self, task: TaskLife, index: int) -> None:
        container = task.containers[index]
        assert container.plan.health is not None
        container.round += 1
        self._course.out.append(
            do.SetTimer(
                task=task.plan.id,
                timer="health",
                index=index,
                round=container.round,
                after_s=container.plan.health.interval_s,
            )
        )

    def check_due(self, task: TaskLife, event: on.TimerFired) -> None:
        """It is time for the next check, unless the timer is of a run that has ended."""
        container = task.containers[event.index]
        plan = container.plan.health
        if plan is None or container.phase != "running" or container.round != event.round:
            return
        self._course.out.append(
            do.CheckHealth(
                task=task.plan.id,
                index=event.index,
                round=event.round,
                id=container.plan.spec.id,
                command=plan.command,
                timeout_s=plan.timeout_s,
            )
        )

    def checked(self, event: on.HealthChecked) -> None:
        """A check came back; that of a run that has ended says nothing of this one."""
        task = self._course.tasks.get(event.task)
        container = task.containers[event.index] if task is not None else None
        if task is None or container is None or container.phase != "running" or container.round != event.round:
            return
        plan, before = container.plan.health, container.health
        assert plan is not None
        assert before is not None
        now_s = self._course.now_s
        after = judged(before, plan, event.result, now_s - (container.began_s or now_s), now_s)
        container.health = after
        self._check_later(task, event.index)
        if after.status != before.status:
            self._course.save(task)
            self._course.out.append(do.PublishHealth())
            self._course.advance(task)

    # ---- ends ---------------------------------------------------------------------------------------------

    def exited(self, event: on.ContainerExited) -> None:
        found = self._course.containers.get(event.id)
        if found is None:
            return  # removed already: the node tells of an end more than once
        task, index = found
        container = task.containers[index]
        if restarts.is_old_news(container, event.exit):
            return
        if container.phase in ("starting", "restarting"):
            container.exit = event.exit
        elif container.phase == "running":
            self._ended(task, index, event.exit)
            self._course.advance(task)

    def seen(self, event: on.ContainersSeen) -> None:
        """An end that was not told (the supervisor was killed) is found here."""
        for status in event.statuses:
            found = self._course.containers.get(status.id)
            if found is None or found[0].containers[found[1]].phase != "running":
                continue
            exit_ = _exit_of(status, self._course.now_s)
            if exit_ is not None and not restarts.is_old_news(found[0].containers[found[1]], exit_):
                self._ended(*found, exit_)
                self._course.advance(found[0])

    def restart_failed(self, task: TaskLife, index: int, reason: str) -> None:
        """Then the end after which it was to be started again is its end, for this reason."""
        container = task.containers[index]
        exit_ = container.before_restart or Exit(code=None, oom_killed=False, at_s=0.0)
        self._finish(task, index, exit_, reason)
        self._course.advance(task)

    def restart(self, task: TaskLife, index: int) -> None:
        """Start a container again that is marked so."""
        container = task.containers[index]
        assert container.image is not None, f"{container.plan.spec.id}: started again without an image"
        self._course.out.append(
            do.RestartContainer(task=task.plan.id, index=index, spec=container.plan.spec, image=container.image)
        )

    def _ended(self, task: TaskLife, index: int, exit_: Exit) -> None:
        container = task.containers[index]
        ended_s = exit_.at_s or self._course.now_s  # 0: nobody saw it
        if task.ending or not restarts.is_due(container, exit_, ended_s):
            self._finish(task, index, exit_)
            return
        container.start_again(exit_, self._course.now_s)
        self._course.save(task)
        self.restart(task, index)

    def _finish(self, task: TaskLife, index: int, exit_: Exit, reason: str = "") -> None:
        container = task.containers[index]
        container.ended(exit_, reason)
        if container.plan.essential and task.execution_stopped_at is None:
            task.execution_stopped_at = exit_.at_s or self._course.now_s
        if task.phase == "running" and not task.ending:
            self._course.report(task)


def _exit_of(status: ContainerStatus, now_s: float) -> Exit | None:
    """How a container ended that is found to have ended; one that is not there any more took its exit code along."""
    if status.state not in ("stopped", "absent"):
        return None
    return status.exit or Exit(code=None, oom_killed=False, at_s=now_s)
