"""The life of a container: started once, watched by its supervisor, removed with all it left."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from moorage.agent.drivers import (
    accounts,
    bundle,
    capabilities,
    etcfiles,
    processes,
    rootfs,
    seccomp,
    signals,
    syscalls,
)
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import ContainerRecord, Launched, SandboxRecord
from moorage.agent.drivers.runtime import Runtime
from moorage.agent.spec import (
    ContainerId,
    ContainerSpec,
    ContainerStatus,
    DriverError,
    Exit,
    Mount,
    RootImage,
)

KILL_TIMEOUT_S: Final = 20.0  # a process in the middle of a disk write outlives SIGKILL for a while
SUPERVISOR_TIMEOUT_S: Final = 10.0  # conmon drains the container's output, then writes the exit file


class Containers:
    """Starts, asks after and removes containers; every method runs on a crew thread, one at a time per container."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = parts.records
        self._available = capabilities.of_host()

    def start(self, spec: ContainerSpec, image: RootImage) -> ContainerStatus:
        """Start the container, or find that it was started; what is left of a half-made one is removed first."""
        record = self._records.container(spec.id)
        if record is not None and self._records.launched(spec.id) is not None:
            return self.status(spec.id)
        if record is not None:
            self._dismantle(record)
        sandbox = self._records.sandbox(spec.sandbox)
        if sandbox is None or not self._records.is_complete(spec.sandbox):
            reason = f"the container's sandbox {spec.sandbox} does not exist"
            raise DriverError("CannotCreateContainerError", reason)
        if sandbox.isolation == "runsc" and self._has_others(spec):
            # Each runsc container has a kernel and a network stack of its own, and there is one interface.
            reason = "a task isolated by runsc holds one container"
            raise DriverError("CannotCreateContainerError", reason)
        stop_signal = signals.number_of(image.stop_signal)
        record = ContainerRecord(
            id=spec.id, sandbox=spec.sandbox, isolation=sandbox.isolation, stop_signal=stop_signal
        )
        self._records.put_container(record)
        try:
            self._launch(spec, image, sandbox)
        except BaseException:
            with contextlib.suppress(DriverError, OSError):  # the first failure is the one to tell
                self._dismantle(record)
            raise
        return self._status(record)

    def _has_others(self, spec: ContainerSpec) -> bool:
        return any(each.sandbox == spec.sandbox and each.id != spec.id for each in self._records.containers())

    def _launch(self, spec: ContainerSpec, image: RootImage, sandbox: SandboxRecord) -> None:
        parts, home = self._parts, self._records.container_directory(spec.id)
        runtime = parts.runtimes[sandbox.isolation]
        staged = parts.stage / "bundles" / spec.id
        staged.mkdir(mode=0o711)
        layers = (str(parts.base), *image.layers)
        with (
            self._user_namespace(sandbox) as user,
            rootfs.mounted(layers, home, staged / "rootfs", user) as root,
        ):
            place = self._place(spec, image, sandbox, root, runtime)
            (staged / "config.json").write_bytes(bundle.write(spec, image, place))
            entrances: tuple[str, ...] = ()
            if runtime.takes_ready_cgroups:
                entrances = parts.cgroups.create_container(spec, bundle.device_rules(spec))
            process, supervisor = runtime.create(spec.id, staged, home / "log", entrances)
        parts.cgroups.adopt_supervisor(supervisor.pid)
        # Before it runs: an agent killed after `start` and before this would have the next one run it a second time.
        self._records.put_launched(spec.id, Launched(process=process, supervisor=supervisor))
        runtime.start(spec.id)

    @contextlib.contextmanager
    def _user_namespace(self, sandbox: SandboxRecord) -> Iterator[rootfs.UserNamespace | None]:
        if not sandbox.first_id:
            yield None
            return
        fd = os.open(self._parts.keep.path(sandbox.id, "user"), os.O_RDONLY)
        try:
            yield rootfs.UserNamespace(fd, sandbox.first_id)
        finally:
            os.close(fd)

    def _place(
        self, spec: ContainerSpec, image: RootImage, sandbox: SandboxRecord, root: Path, runtime: Runtime
    ) -> bundle.Place:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            account = accounts.resolve(top, image.user if spec.user is None else spec.user)
            _ensure_directory(top, spec.working_directory or image.working_directory)
        finally:
            os.close(top)
        keep = self._parts.keep
        hostname = spec.hostname or sandbox.hostname
        granted = capabilities.granted(spec, self._available)
        annotations: tuple[tuple[str, str], ...] = ()
        if runtime.name == "crun" and not spec.privileged:
            annotations = ((seccomp.BPF_ANNOTATION, seccomp.compiled(granted)),)
        return bundle.Place(
            root=str(root),
            account=account,
            cgroup=self._parts.cgroups.runtime_path(spec.sandbox, spec.id),
            capabilities=granted,
            network="" if sandbox.network_mode == "host" else keep.path(sandbox.id, "net"),
            user_namespace=keep.path(sandbox.id, "user") if sandbox.first_id else "",
            first_id=sandbox.first_id,
            hostname=hostname,
            files=self._files(spec, sandbox),
            init=processes.find_tool("tini-static", "tini") if spec.init else "",
            annotations=annotations,
            open_files_max=min(bundle.OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        )

    def _files(self, spec: ContainerSpec, sandbox: SandboxRecord) -> tuple[Mount, ...]:
        home = self._records.container_directory(spec.id)
        if spec.hostname and spec.hostname != sandbox.hostname:
            hosts = etcfiles.hosts(spec.hostname, sandbox.sandbox().address)
            etcfiles.write(home, sandbox.first_id, {"hosts": hosts, "hostname": f"{spec.hostname}\n"})
        return etcfiles.mounts(self._records.sandbox_directory(sandbox.id), home)

    def status(self, container: ContainerId) -> ContainerStatus:
        record = self._records.container(container)
        return ContainerStatus(id=container, state="absent") if record is None else self._status(record)

    def _status(self, record: ContainerRecord) -> ContainerStatus:
        launched = self._records.launched(record.id)
        if launched is None:
            return ContainerStatus(id=record.id, state="created")
        ended = self.exit_of(record)
        if ended is None and (processes.is_alive(launched.process) or processes.is_alive(launched.supervisor)):
            return ContainerStatus(id=record.id, state="running", pid=launched.process.pid)
        if ended is None:  # between the two looks its supervisor may have written the file and left
            ended = self.exit_of(record) or Exit(code=None, oom_killed=self._was_oom_killed(record), at_s=0.0)
        return ContainerStatus(id=record.id, state="stopped", exit=ended)

    def exit_of(self, record: ContainerRecord) -> Exit | None:
        """What the supervisor wrote when the container ended; None while it has not."""
        file = self._parts.exits / record.id
        try:
            code = int(file.read_text())
            at_s = file.stat().st_mtime
        except (FileNotFoundError, ValueError):
            return None
        return Exit(code=code, oom_killed=self._was_oom_killed(record), at_s=at_s)

    def _was_oom_killed(self, record: ContainerRecord) -> bool:
        return self._parts.cgroups.out_of_memory_kills(record.sandbox, record.id) > 0

    def send(self, container: ContainerId, number: int) -> None:
        """Signal the container's first process; one that has ended (or never was) is left in peace."""
        launched = self._records.launched(container)
        if launched is not None:
            processes.send_signal(launched.process, number)

    def end_half_made(self) -> None:
        """End what was made of containers whose start an agent did not survive. Call while nothing is started."""
        waiting = {kind: runtime.waiting() for kind, runtime in self._parts.runtimes.items()}
        for record in self._records.containers():
            launched = self._records.launched(record.id)
            if launched is not None and not self._never_ran(record, launched, waiting[record.isolation]):
                continue
            self._parts.cgroups.kill_supervisors(record.id)
            self._parts.cgroups.kill(record.sandbox, record.id)
            self._records.undo_launched(record.id)

    def _never_ran(self, record: ContainerRecord, launched: Launched, waiting: frozenset[ContainerId]) -> bool:
        """Whether the agent was killed after it wrote that the container runs and before it let it run."""
        return record.id in waiting or self._parts.runtimes[record.isolation].is_lost(launched.process)

    def remove(self, container: ContainerId) -> None:
        record = self._records.container(container)
        if record is not None:
            self._dismantle(record)

    def _dismantle(self, record: ContainerRecord) -> None:
        """End the container if need be and remove every trace; steps already done are done again without harm."""
        launched = self._records.launched(record.id)
        if launched is None:
            self._parts.cgroups.kill_supervisors(record.id)
        else:
            processes.send_signal(launched.process, signal.SIGKILL)
            processes.wait_gone(launched.process, KILL_TIMEOUT_S)
        self._parts.cgroups.kill(record.sandbox, record.id)
        if launched is not None and not processes.wait_gone(launched.supervisor, SUPERVISOR_TIMEOUT_S):
            processes.send_signal(launched.supervisor, signal.SIGKILL)
        self._parts.runtimes[record.isolation].forget(record.id)
        self._parts.cgroups.remove(record.sandbox, record.id)
        (self._parts.exits / record.id).unlink(missing_ok=True)
        staged = self._parts.stage / "bundles" / record.id
        with contextlib.suppress(OSError):  # a crash may have left the root filesystem mounted
            for place in staged.iterdir():
                if place.is_dir():
                    syscalls.umount(str(place))
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(self._records.container_directory(record.id), ignore_errors=True)


def _ensure_directory(root: int, path: str) -> None:
    """Make the working directory where the image has none, as Docker does; never outside the root."""
    done = ""
    for part in (part for part in path.split("/") if part not in ("", ".")):
        parent = syscalls.open_in_root(root, done or ".", os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(part, 0o755, dir_fd=parent)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            reason = f"the working directory {path!r} cannot be made: {error.strerror}"
            raise DriverError("CannotCreateContainerError", reason) from error
        finally:
            os.close(parent)
        done = f"{done}/{part}"
