"""A simulated host: sandboxes and containers that outlive the agent, an image cache, and what goes wrong with them.

It implements the agent's `ports.Node` and `ports.Images` and checks what a kernel would refuse: an address or a port
used twice, a container without its sandbox, a container started twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from moorage.agent.spec import (
    CheckResult,
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    DriverError,
    Exit,
    PortBinding,
    RootImage,
    Sandbox,
    SandboxId,
    SandboxSpec,
)
from moorage.sim.dice import SeededDice
from moorage.sim.runs import Run
from moorage.sim.time import VirtualTime

FIRST_DYNAMIC_PORT = 32_768


@dataclass
class Faults:
    """How often things go wrong; all zero once the world calms down."""

    step_fails: float = 0.0  # of sandboxes, containers and pulls
    dies_early: float = 0.0  # of started containers
    ignores_term: float = 0.0  # of signalled containers
    slow: float = 0.0  # of steps: seconds in place of milliseconds


@dataclass
class Container:
    """A container as the kernel has it; its supervisor writes `exit` whether an agent lives or not."""

    spec: ContainerSpec
    pid: int
    began_s: float = 0.0  # of this run
    exit: Exit | None = None
    told: bool = False  # of its end, to the agent of the present life


@dataclass
class Network:
    """The addresses in use on all hosts: one VPC."""

    owners: dict[str, str] = field(default_factory=dict)


class SimHost:
    """One machine."""

    def __init__(self, name: str, time: VirtualTime, dice: SeededDice, network: Network) -> None:
        self.name = name
        self.faults = Faults()
        self.sandboxes: dict[SandboxId, tuple[SandboxSpec, Sandbox]] = {}
        self.containers: dict[ContainerId, Container] = {}
        self.records: dict[str, bytes] = {}  # what the agent has written to its disk
        self.registration: str | None = None
        self.on_exit: Callable[[], None] = lambda: None
        self.runs: dict[ContainerId, list[Run]] = {}  # of all containers that ever were
        self._time = time
        self._dice = dice
        self._network = network
        self._pids = 100

    # ---- ports.Node

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        if spec.id in self.sandboxes:
            return self.sandboxes[spec.id][1]
        self._may_fail("ResourceInitializationError")
        if spec.interface is not None:
            address = spec.interface.address
            owner = self._network.owners.get(address)
            assert owner is None, f"{address} of {spec.id} is still held by {owner}"
            self._network.owners[address] = spec.id
        made = Sandbox(id=spec.id, ports=self._bind(spec), address="")
        self.sandboxes[spec.id] = (spec, made)
        return made

    def remove_sandbox(self, sandbox: SandboxId) -> None:
        if any(one.spec.sandbox == sandbox and one.exit is None for one in self.containers.values()):
            raise DriverError("CannotStopContainerError", "a process is still in the sandbox")
        found = self.sandboxes.pop(sandbox, None)
        if found is not None and found[0].interface is not None:
            del self._network.owners[found[0].interface.address]

    def start_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        del image
        known = self.containers.get(spec.id)
        if known is None:
            if spec.sandbox not in self.sandboxes:
                raise DriverError("CannotStartContainerError", "its sandbox is gone")
            self._may_fail("CannotStartContainerError")
            self._pids += 1
            assert spec.id not in self.runs, f"{spec.id} was started twice"
            known = self.containers[spec.id] = Container(spec, self._pids)
            self._live(known)
        return self.status(spec.id)

    def restart_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        """Once more, unless that has happened already."""
        del image
        known = self.containers.get(spec.id)
        if known is None or spec.sandbox not in self.sandboxes:
            raise DriverError("CannotStartContainerError", "the container or its sandbox is gone")
        if known.exit is not None:
            self._may_fail("CannotStartContainerError")
            known.exit, known.told = None, False
            self._live(known)
        return self.status(spec.id)

    def check_container(self, container: ContainerId, command: Sequence[str], timeout_s: float) -> CheckResult:
        """`after <seconds>` is well once the container has run for so long; `never` never is."""
        del timeout_s
        found = self.containers.get(container)
        if found is None or found.exit is not None:
            raise DriverError("CannotStartContainerError", "the container does not run")
        if self._dice.chance(self.faults.step_fails):
            return CheckResult(exit_code=None, output="the simulated check hung")
        ran_s = self._time.now_s() - found.began_s
        well = command[0] == "after" and ran_s >= float(command[1])
        return CheckResult(exit_code=0 if well else 1)

    def signal_container(self, container: ContainerId, signal: int | str) -> None:
        found = self.containers.get(container)
        if found is None or found.exit is not None:
            return
        if signal in ("SIGKILL", "KILL", 9):
            self._end(found, 137)
            return
        run = self._run_of(found)
        run.signalled_s = run.signalled_s or self._time.now_s()
        if not self._dice.chance(self.faults.ignores_term):
            self._end_later(found, self._dice.between(0.0, 2.0), 143)

    def remove_container(self, container: ContainerId) -> None:
        found = self.containers.get(container)
        if found is not None and found.exit is None:
            self._end(found, 137)
        self.containers.pop(container, None)

    def status(self, container: ContainerId) -> ContainerStatus:
        found = self.containers.get(container)
        if found is None:
            return ContainerStatus(id=container, state="absent")
        if found.exit is None:
            return ContainerStatus(id=container, state="running", pid=found.pid)
        return ContainerStatus(id=container, state="stopped", exit=found.exit)

    def list_containers(self) -> Sequence[ContainerStatus]:
        return [self.status(id_) for id_ in self.containers]

    def list_sandboxes(self) -> Sequence[Sandbox]:
        return [made for _, made in self.sandboxes.values()]

    def take_exits(self) -> Sequence[tuple[ContainerId, Exit]]:
        ended = []
        for id_, one in self.containers.items():
            if one.exit is not None and not one.told:
                one.told = True
                ended.append((id_, one.exit))
        return ended

    # ---- ports.Images

    def ensure(self, reference: str) -> RootImage:
        self._may_fail("CannotPullContainerError")
        return RootImage(
            digest="sha256:" + "0" * 64,
            layers=(),
            entry_point=(),
            command=(reference,),
            environment=(),
            user="",
            working_directory="",
            stop_signal="SIGTERM",
        )

    # ---- the host's own life

    def agent_died(self) -> None:
        """What was told to the dead agent must be told again."""
        for one in self.containers.values():
            one.told = False

    def reboot(self) -> None:
        """Power lost: every process is gone; disks are not."""
        for one in self.containers.values():
            self._end(one, None)
            one.told = False

    def save(self, name: str, record: msgspec.Struct) -> None:
        self.records[name] = msgspec.json.encode(record)

    def delay_s(self) -> float:
        """How long one step takes."""
        return (
            self._dice.between(1.0, 20.0) if self._dice.chance(self.faults.slow) else self._dice.between(0.001, 0.05)
        )

    def _may_fail(self, kind: str) -> None:
        if self._dice.chance(self.faults.step_fails):
            raise DriverError(kind, "the simulated world said no")

    def _bind(self, spec: SandboxSpec) -> tuple[PortBinding, ...]:
        used = {(one.protocol, one.host_port) for _, made in self.sandboxes.values() for one in made.ports}
        bound = []
        for port in spec.ports:
            host_port = port.host_port
            if host_port == 0:
                host_port = next(n for n in range(FIRST_DYNAMIC_PORT, 65_536) if (port.protocol, n) not in used)
            assert (port.protocol, host_port) not in used, f"{self.name}: port {host_port} is bound twice"
            used.add((port.protocol, host_port))
            bound.append(msgspec.structs.replace(port, host_port=host_port))
        return tuple(bound)

    def _live(self, container: Container) -> None:
        """The container's own will: the first word of its command says how long, the second with which code."""
        words = container.spec.command or ("forever",)
        container.began_s = self._time.now_s()
        self.runs.setdefault(container.spec.id, []).append(Run(container.began_s))
        if self._dice.chance(self.faults.dies_early):
            self._end_later(container, self._dice.between(0.0, 5.0), 1)
        elif words[0] == "for":
            self._end_later(container, float(words[1]), int(words[2]))

    def _end_later(self, container: Container, after_s: float, code: int) -> None:
        """The end of this run; another one has its own."""
        run = self._run_of(container)

        def end() -> None:
            if self._run_of(container) is run:
                self._end(container, code)

        self._time.call_later(after_s, end)

    def _run_of(self, container: Container) -> Run:
        return self.runs[container.spec.id][-1]

    def _end(self, container: Container, code: int | None) -> None:
        if container.exit is None:
            container.exit = Exit(code=code, oom_killed=False, at_s=self._time.now_s())
            run = self._run_of(container)
            run.ended_s, run.code = container.exit.at_s, code
            self.on_exit()
