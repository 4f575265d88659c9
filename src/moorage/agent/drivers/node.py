"""A node: one agent's share of a host, and the face of all drivers.

Every method blocks and may be called from any thread; the work happens on the node's own crew of threads, which live
in the namespaces that it needs. Every method may be repeated. Failures are DriverErrors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from moorage.agent.drivers import (
    checks,
    endpoint,
    hostclock,
    metadata,
    network,
    processes,
    rootfs,
    signals,
    terminals,
    usage,
)
from moorage.agent.drivers.cgroups import Cgroups
from moorage.agent.drivers.claims import Claims
from moorage.agent.drivers.config import NodeConfig
from moorage.agent.drivers.containers import Containers
from moorage.agent.drivers.exits import ExitWatch
from moorage.agent.drivers.firewall import Firewall
from moorage.agent.drivers.locks import KeyedLocks
from moorage.agent.drivers.namespaces import Crew, Keep, end_holder
from moorage.agent.drivers.network import Network
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import Records, SandboxRecord
from moorage.agent.drivers.runtime import Runtime
from moorage.agent.drivers.sandboxes import Sandboxes
from moorage.agent.drivers.storage import Storage
from moorage.agent.drivers.terminals import Terminal
from moorage.agent.drivers.volumes import Volumes
from moorage.agent.spec import (
    CheckResult,
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    DriverError,
    Exit,
    Isolation,
    RootImage,
    Sandbox,
    SandboxId,
    SandboxSpec,
)
from moorage.agent.usage import HostClock, Usage

__all__ = ["Node", "NodeConfig"]

P = ParamSpec("P")
T = TypeVar("T")

LOCK_TIMEOUT_S: Final = 2.0  # a program that a killed agent was just starting holds its lock until it is executed
_OWN: Final = ("sandboxes", "containers", "exits", "pins", "base", "keep.json.new", "launch.json.new")


class Node:
    """Made by `open`; ended by `detach` (everything goes on running) or `close` (nothing is left)."""

    def __init__(self, config: NodeConfig, lock: int) -> None:
        self.config = config
        self._lock = lock
        self._locks = KeyedLocks()
        home, exits = config.path, config.path / "exits"
        cgroups = Cgroups(config.cgroup)
        claims = Claims(Path(config.claims_directory), config.owner, home)
        runtimes = _runtimes(config, claims.stage, exits)
        firewall = Firewall(config)
        cgroups.open()
        claims.want_forwarding()
        rootfs.make_mount_points(home / "base")
        launches = partial(_prepare_launches, claims.stage, runtimes)
        with contextlib.ExitStack() as undo:  # threads of a node that did not open would stand in its cgroups
            self._exits = ExitWatch(exits)
            undo.callback(self._exits.close)
            self.endpoint = endpoint.listen()  # the agent answers there; closed with the node
            undo.callback(self.endpoint.close)
            claims.announce_endpoint(self.endpoint.getsockname()[1])
            crew = Crew(home / "launch.json", cgroups, launches)
            undo.callback(crew.close)
            keep = Keep(home, home / "keep.json", cgroups)
            undo.pop_all()
        records = Records(home)
        storage = Storage(records, claims.stage)
        self._parts = Parts(
            records=records,
            cgroups=cgroups,
            claims=claims,
            crew=crew,
            keep=keep,
            links=Network(config),
            firewall=firewall,
            volumes=Volumes(storage, home, claims.stage, dict(config.file_systems)),
            storage=storage,
            inside=endpoint.Inside(),
            runtimes=runtimes,
            exits=exits,
            stage=claims.stage,
            base=home / "base",
        )
        self._sandboxes = Sandboxes(self._parts)
        self._containers = Containers(self._parts)

    @classmethod
    def open(cls, config: NodeConfig) -> Node:
        """Take possession of the node, adopt what runs, and end what a crash left half-started."""
        with _failures("ResourceInitializationError", "opening the node"):
            lock = _lock(config)
            try:
                node = cls(config, lock)
            except BaseException:
                os.close(lock)
                raise
            try:
                node._recover()
            except BaseException:
                node.detach()
                raise
            return node

    def _recover(self) -> None:
        """Level, not edge: whatever stands is written down, and the rest of the host's state follows from that."""
        parts, records = self._parts, self._parts.records
        records.drop_unwritten()
        for container in records.containers():
            if records.launched(container.id) is None:
                parts.cgroups.kill_supervisors(container.id)
                parts.cgroups.kill(container.sandbox, container.id)
            else:
                self._run(terminals.end_left, parts, container)
        sandboxes = list(records.sandboxes())
        for record in sandboxes:
            if not (self._sandboxes.stands(record) or self._repin(record)):
                records.undo_sandbox(record.id)
            elif record.network_mode == "none":
                self._run(self._sandboxes.open_endpoint, record.id)
        attached = [(record, record.attachment) for record in sandboxes if record.attachment is not None]
        parts.links.open((at.address, record.id) for record, at in attached if record.network_mode == "bridge")
        mappings = ((port, at.address) for record, at in attached for port in record.ports)
        parts.firewall.open(mappings, self.endpoint.getsockname()[1])

    def _repin(self, sandbox: SandboxRecord) -> bool:
        """The holder was killed: take the sandbox's namespaces from a container that still lives in them."""
        records, keep = self._parts.records, self._parts.keep
        for container in records.containers():
            launched = records.launched(container.id)
            if container.sandbox == sandbox.id and launched and processes.is_alive(launched.process):
                for kind in sandbox.pinned:
                    keep.pin(sandbox.id, kind, f"/proc/{launched.process.pid}/ns/{kind}")
                return True
        return False

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        with self._step("ResourceInitializationError", "creating the sandbox", spec.id):
            return self._run(self._sandboxes.create, spec)

    def remove_sandbox(self, sandbox: SandboxId) -> None:
        """Remove the sandbox and every container that is still in it."""
        for container in self.list_containers():
            if container.id.startswith(f"{sandbox}-"):
                self.remove_container(container.id)
        with self._step("CannotStopContainerError", "removing the sandbox", sandbox):
            self._run(self._sandboxes.remove, sandbox)

    def start_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        with self._step("CannotCreateContainerError", "starting the container", spec.id):
            return self._run(self._containers.start, spec, image)

    def restart_container(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        """Run a container that has ended once more, on the files that it left."""
        with self._step("CannotStartContainerError", "starting the container again", spec.id):
            return self._run(self._containers.restart, spec, image)

    def check_container(self, container: ContainerId, command: Sequence[str], timeout_s: float) -> CheckResult:
        """Run a program in a running container; blocks for as long as it runs, at most for its time."""
        with _failures("CannotStartContainerError", "checking the container"):
            record = self._parts.records.container(container)
            if record is None:
                raise DriverError("CannotStartContainerError", "the container does not exist")
            return checks.run(self._parts, record, command, timeout_s)

    def open_terminal(self, container: ContainerId, command: Sequence[str], cols: int, rows: int) -> Terminal:
        """Run a program in a running container on a terminal of that size; blocks until it has begun."""
        with _failures("CannotStartContainerError", "opening a terminal"):
            if self.status(container).state != "running":
                raise DriverError("CannotStartContainerError", "the container does not run")
            record = self._parts.records.container(container)
            if record is None:
                raise DriverError("CannotStartContainerError", "the container does not exist")
            return terminals.run(self._parts, record, command, cols, rows)

    def signal_container(self, container: ContainerId, signal: int | str) -> None:
        """Send a signal by number or name ("TERM", "SIGTERM", "SIGRTMIN+3"); to an ended container, nothing."""
        with _failures("CannotStopContainerError", "signalling the container"):
            self._containers.send(container, signals.number_of(signal))

    def stop_signal(self, container: ContainerId) -> int:
        """The signal with which the container's image wants to be stopped; SIGTERM where it says nothing."""
        record = self._parts.records.container(container)
        return signals.number_of("" if record is None else record.stop_signal)

    def remove_container(self, container: ContainerId) -> None:
        """Kill the container if it runs, and remove all of it: log, files, cgroup."""
        with self._step("CannotStopContainerError", "removing the container", container):
            self._run(self._containers.remove, container)

    def status(self, container: ContainerId) -> ContainerStatus:
        with _failures("CannotStopContainerError", "asking after the container"):
            return self._containers.status(container)

    def list_sandboxes(self) -> tuple[Sandbox, ...]:
        """Also those that are half-made: creating one again completes it, removing it removes its parts."""
        return tuple(record.sandbox() for record in self._parts.records.sandboxes())

    def list_containers(self) -> tuple[ContainerStatus, ...]:
        """Also those that are half-made: their state is `created`, and starting or removing them works."""
        return tuple(self._containers.status(record.id) for record in self._parts.records.containers())

    def log_path(self, container: ContainerId) -> Path:
        return self._parts.records.container_directory(container) / "log"

    def sandbox_address(self, sandbox: SandboxId) -> str | None:
        """Where a sandbox's packets come from; "" without a link of its own, None where there is no such sandbox."""
        record = self._parts.records.sandbox(sandbox)
        return None if record is None else record.sandbox().address

    def usage(self, container: ContainerId) -> Usage | None:
        """What the container has used so far; None where it is not there (any more)."""
        record = self._parts.records.container(container)
        sandbox = None if record is None else self._parts.records.sandbox(record.sandbox)
        if record is None or sandbox is None:
            return None
        link = "" if sandbox.attachment is None else self.config.link_name(sandbox.id)
        path = self._parts.cgroups.runtime_path(sandbox.id, container).removeprefix("/")
        return usage.read(path, link, unified=self._parts.cgroups.unified)

    def complaint(self) -> str:
        """Why the node could start nothing now; empty where all is well."""
        complaints = [self._parts.keep.complaint(), *(each.complaint() for each in self._parts.runtimes.values())]
        return next(filter(None, complaints), "")

    def tell(self, container: ContainerId, text: str) -> None:
        """Replace what the container's metadata file says."""
        with _failures("ResourceInitializationError", "writing the container metadata file"):
            metadata.replace(self._parts.records.container_directory(container), text)

    def clock(self) -> HostClock:
        """How far the host's clock may be off."""
        return hostclock.read()

    def times(self, container: ContainerId) -> tuple[float | None, float | None]:
        """When the container was made and when it started; None for what has not happened."""
        home = self._parts.records.container_directory(container)
        return _written_s(home / "record.json"), _written_s(home / "launched.json")

    def other_endpoints(self) -> tuple[int, ...]:
        """The ports of the endpoint's address on which the agents of the host's other nodes answer."""
        return self._parts.claims.other_endpoints()

    def host_endpoint(self) -> socket.socket | None:
        """A socket for tasks in the host's network, None where there are none; whoever has it must answer."""
        return endpoint.listen_shared() if "namespaces" in self.config.isolations else None

    def watch_endpoints(self, told: endpoint.Told) -> None:
        """Hand over the listening socket of each sandbox that has no link, and tell of its end; from any thread."""
        self._parts.inside.watch(told)

    def exits_fd(self) -> int:
        """Readable when `take_exits` has something to tell."""
        return self._exits.fd

    def take_exits(self) -> tuple[tuple[ContainerId, Exit], ...]:
        """The containers that have ended since the last call; never blocks for longer than reading small files."""
        found = []
        for container in self._exits.take():
            record = self._parts.records.container(container)
            ended = None if record is None else self._containers.exit_of(record)
            if ended is not None:
                found.append((container, ended))
        return tuple(found)

    def detach(self) -> None:
        """Let go; every sandbox and container goes on."""
        self._parts.crew.close()
        self._parts.keep.close()
        self._exits.close()
        self.endpoint.close()
        self._parts.inside.close()
        os.close(self._lock)

    def close(self) -> None:
        """End everything of this node and leave no trace."""
        self.detach()
        Node.sweep(self.config)

    @staticmethod
    def sweep(config: NodeConfig) -> None:
        """Remove everything of a node that no agent has open, however it was left, even without its directory."""
        with _failures("CannotStopContainerError", "removing the node"):
            lock = _lock(config)
            try:
                _sweep(config)
            finally:
                os.close(lock)

    def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._parts.crew.run(work, *args, **kwargs)

    @contextlib.contextmanager
    def _step(self, kind: str, what: str, name: str) -> Iterator[None]:
        with _failures(kind, what), self._locks.holding(name):
            yield


def _sweep(config: NodeConfig) -> None:
    home = config.path
    cgroups = Cgroups(config.cgroup)
    cgroups.kill()
    for note in ("keep.json", "launch.json"):
        end_holder(home / note)
    network.delete_all_links(config)
    Firewall(config).close()
    Claims(Path(config.claims_directory), config.owner, home).leave()
    cgroups.remove()
    for name in _OWN:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (home / "lock").unlink()
    with contextlib.suppress(OSError):  # the agent's own files may lie beside ours
        home.rmdir()


def _lock(config: NodeConfig) -> int:
    """One agent per node, and no sweep under a running agent's feet."""
    config.path.mkdir(parents=True, exist_ok=True)
    fd = os.open(config.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                owner = os.read(fd, 20).decode() or "unknown"
                os.close(fd)
                reason = f"the node {config.owner} is in use by process {owner}; stop that agent first"
                raise DriverError("ResourceInitializationError", reason) from None
            time.sleep(0.01)
    os.truncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd


def _runtimes(config: NodeConfig, stage: Path, exits: Path) -> dict[Isolation, Runtime]:
    """A runtime for every isolation that the node offers; a missing tool is told here, not at the first task."""
    return {
        isolation: Runtime("runsc" if isolation == "runsc" else config.runtime, stage, exits)
        for isolation in config.isolations
    }


def _written_s(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return None


def _prepare_launches(stage: Path, runtimes: Mapping[Isolation, Runtime]) -> None:
    rootfs.prepare_stage(stage)
    for runtime in {runtime.name: runtime for runtime in runtimes.values()}.values():
        runtime.prepare()


@contextlib.contextmanager
def _failures(kind: str, what: str) -> Iterator[None]:
    """What the system refuses becomes a DriverError whose sentence says what was being done."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            reason = f"{what}: no space left on the node's disk"
        else:
            reason = f"{what}: {error.strerror or error}"
            reason += f" ({error.filename})" if error.filename else ""
        raise DriverError(kind, reason) from error
