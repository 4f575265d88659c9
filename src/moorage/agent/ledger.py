"""What the host has and who holds it: tasks wait here, first come first served, until there is room.

The control plane may place a task onto room that an ending task still holds; waiting makes that safe. The head of the
queue blocks those behind it, so that a large task is not overtaken for ever by small ones.
"""

from __future__ import annotations

from collections import deque

from moorage.agent.spec import SandboxId
from moorage.model.container_instance import Resources


class Ledger:
    """The host's resources, the tasks that hold some of them, and those that wait."""

    def __init__(self, total: Resources) -> None:
        self.total = total  # its ports are those that nobody may have
        self.held: dict[SandboxId, Resources] = {}
        self._cpu = 0
        self._memory = 0
        self._tcp: set[int] = set()
        self._udp: set[int] = set()
        self._waiting: deque[tuple[SandboxId, Resources]] = deque()

    def impossible(self, need: Resources) -> str:
        """Why `need` never fits this host; empty where it can."""
        if need.cpu > self.total.cpu:
            return f"the task needs {need.cpu} cpu units, the host has {self.total.cpu}"
        if need.memory > self.total.memory:
            return f"the task needs {need.memory} MiB of memory, the host has {self.total.memory}"
        taken = {*need.ports_tcp} & {*self.total.ports_tcp} | {*need.ports_udp} & {*self.total.ports_udp}
        return f"the host port {min(taken)} is reserved" if taken else ""

    def wait(self, task: SandboxId, need: Resources) -> None:
        """Stand at the end of the queue."""
        assert task not in self.held, f"{task} already holds its resources"
        self._waiting.append((task, need))

    def hold(self, task: SandboxId, need: Resources) -> None:
        """Take without asking: an adopted task already runs, whatever the host is declared to have now."""
        assert task not in self.held, f"{task} already holds its resources"
        self.held[task] = need
        self._cpu += need.cpu
        self._memory += need.memory
        self._tcp.update(need.ports_tcp)
        self._udp.update(need.ports_udp)

    def admit(self) -> list[SandboxId]:
        """Those at the head of the queue for whom there is room now; they hold it from here on."""
        admitted = []
        while self._waiting and self._fits(self._waiting[0][1]):
            task, need = self._waiting.popleft()
            self.hold(task, need)
            admitted.append(task)
        return admitted

    def release(self, task: SandboxId) -> None:
        """Give back what the task holds, or leave the queue; nothing where it does neither."""
        need = self.held.pop(task, None)
        if need is None:
            self._waiting = deque(entry for entry in self._waiting if entry[0] != task)
            return
        self._cpu -= need.cpu
        self._memory -= need.memory
        self._tcp.difference_update(need.ports_tcp)
        self._udp.difference_update(need.ports_udp)
        assert self._cpu >= 0, "more cpu was given back than taken"
        assert self._memory >= 0, "more memory was given back than taken"

    def _fits(self, need: Resources) -> bool:
        return (
            self._cpu + need.cpu <= self.total.cpu
            and self._memory + need.memory <= self.total.memory
            and self._tcp.isdisjoint(need.ports_tcp)
            and self._udp.isdisjoint(need.ports_udp)
        )
