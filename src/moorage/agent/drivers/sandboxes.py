"""The life of a sandbox: made in steps that a crash may cut anywhere, removed in steps that may be repeated."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path

import msgspec

from moorage.agent.drivers import endpoint, etcfiles, network, pause
from moorage.agent.drivers.namespaces import make_user_namespace
from moorage.agent.drivers.netlink import NetlinkSocket
from moorage.agent.drivers.parts import Parts
from moorage.agent.drivers.records import SandboxRecord
from moorage.agent.spec import DriverError, PortBinding, Sandbox, SandboxId, SandboxSpec


class Sandboxes:
    """Makes and removes sandboxes; every method runs on a crew thread, one at a time per sandbox."""

    def __init__(self, parts: Parts) -> None:
        self._records = parts.records
        self._cgroups = parts.cgroups
        self._claims = parts.claims
        self._crew = parts.crew
        self._keep = parts.keep
        self._links = parts.links
        self._firewall = parts.firewall
        self._volumes = parts.volumes
        self._storage = parts.storage
        self._inside = parts.inside

    def create(self, spec: SandboxSpec) -> Sandbox:
        """Make the sandbox, or find that it stands; what is left of a half-made one is removed first."""
        record = self._records.sandbox(spec.id)
        if record is not None and self._records.is_complete(spec.id) and self.stands(record):
            return record.sandbox()
        if record is not None:
            self.dismantle(record)
        _refuse_impossible(spec)
        record = self._plan(spec)
        try:
            self._cgroups.create_sandbox(spec)
            self._make_namespaces(record)
            self._make_shared_namespaces(record)
            if record.attachment is not None:
                self._firewall.add(record.ports, record.attachment.address)
            self._write_files(spec, record)
            self._storage.directory(record)
            self._volumes.prepare(record)
            if record.network_mode == "none":
                self.open_endpoint(record.id)
            self._records.complete_sandbox(spec.id)
        except BaseException:
            with contextlib.suppress(DriverError, OSError):  # the first failure is the one to tell
                self.dismantle(record)
            raise
        return record.sandbox()

    def stands(self, record: SandboxRecord) -> bool:
        return all(self._keep.is_pinned(record.id, kind) for kind in record.pinned)

    def _plan(self, spec: SandboxSpec) -> SandboxRecord:
        """Decide and claim everything that needs deciding, and write it down before any of it is made."""
        home = self._records.sandbox_directory(spec.id)
        home.mkdir(exist_ok=True, mode=0o711)
        try:
            attachment = self._links.plan(spec)
            ports = tuple(self._claim(home, each) for each in spec.ports)
            first_id = self._claims.claim_ids(home) if spec.isolation == "userns" else 0
        except DriverError:
            self._links.forget(spec.id)
            self._claims.release(home)
            home.rmdir()
            raise
        record = SandboxRecord(
            id=spec.id,
            network_mode=spec.network_mode,
            isolation=spec.isolation,
            attachment=attachment,
            ports=ports,
            first_id=first_id,
            hostname=_hostname(spec),
            pid_mode=spec.pid_mode,
            ipc_mode=spec.ipc_mode,
            volumes=spec.volumes,
            storage_max_bytes=spec.storage_max_bytes,
        )
        self._records.put_sandbox(record)
        return record

    def open_endpoint(self, sandbox: SandboxId) -> None:
        """The agent's endpoint, inside a sandbox that has no link: before its first container can ask."""

        def inside() -> socket.socket:
            network.prepare_endpoint()
            return endpoint.listen_inside()

        namespace = os.open(self._keep.path(sandbox, "net"), os.O_RDONLY)
        try:
            self._inside.opened(sandbox, self._crew.in_network(namespace, inside))
        finally:
            os.close(namespace)

    def _claim(self, home: Path, binding: PortBinding) -> PortBinding:
        port = self._claims.claim_port(home, binding.protocol, binding.host_port)
        return msgspec.structs.replace(binding, host_port=port)

    def _make_namespaces(self, record: SandboxRecord) -> None:
        if record.network_mode == "host":
            return
        if record.first_id:
            make_user_namespace(record.first_id, lambda user, net: self._furnish_owned(record, user, net))
            return
        with contextlib.ExitStack() as cleanup:
            namespace, inside = self._crew.in_network(None, _new_namespace)
            cleanup.callback(os.close, namespace)
            cleanup.callback(inside.close)
            self._furnish(record, namespace, inside, f"/proc/{os.getpid()}/fd/{namespace}")

    def _make_shared_namespaces(self, record: SandboxRecord) -> None:
        if "ipc" in record.pinned:
            with pause.new_ipc_namespace() as path:
                self._keep.pin(record.id, "ipc", path)
        if "pid" in record.pinned:
            owner = self._keep.path(record.id, "user") if record.first_id else ""
            self._keep.pin(record.id, "pid", pause.start(record.id, owner, self._cgroups))

    def _furnish_owned(self, record: SandboxRecord, user: str, net: str) -> None:
        self._keep.pin(record.id, "user", user)
        namespace = os.open(net, os.O_RDONLY)
        try:
            with self._crew.in_network(namespace, network.prepare_namespace) as inside:
                self._furnish(record, namespace, inside, net)
        finally:
            os.close(namespace)

    def _furnish(self, record: SandboxRecord, namespace: int, inside: NetlinkSocket, path: str) -> None:
        if record.attachment is not None:
            self._links.attach(record.id, record.attachment, namespace, inside)
        self._keep.pin(record.id, "net", path)  # last: a pinned namespace is a furnished one

    def _write_files(self, spec: SandboxSpec, record: SandboxRecord) -> None:
        interface = spec.interface
        if spec.network_mode == "host":
            hosts = Path("/etc/hosts").read_text()
        else:
            hosts = etcfiles.hosts(record.hostname, record.sandbox().address)
        if interface is not None and interface.dns_servers:
            resolv = etcfiles.resolv_conf(interface.dns_servers, interface.dns_search)
        else:
            resolv = etcfiles.host_resolv_conf(own_network=spec.network_mode != "host")
        files = {"hosts": hosts, "hostname": f"{record.hostname}\n", "resolv.conf": resolv}
        etcfiles.write(self._records.sandbox_directory(spec.id), record.first_id, files)

    def dismantle(self, record: SandboxRecord) -> None:
        """Remove every trace; steps already done are done again without harm."""
        home = self._records.sandbox_directory(record.id)
        if "pid" in record.pinned:
            pause.end(record.id, self._cgroups)
        self._cgroups.kill(record.id)
        self._volumes.release(record)
        self._storage.release(record)
        if record.network_mode == "none":
            self._inside.ended(record.id)
        self._keep.unpin(record.id)
        if record.attachment is not None:
            self._links.forget(record.id)
            self._firewall.remove(record.ports)
        if record.ports or record.first_id:
            self._claims.release(home)
        self._cgroups.remove(record.id)
        shutil.rmtree(home, ignore_errors=True)

    def remove(self, sandbox: SandboxId) -> None:
        record = self._records.sandbox(sandbox)
        if record is not None:
            self.dismantle(record)


def _new_namespace() -> tuple[int, NetlinkSocket]:
    return network.current_namespace(), network.prepare_namespace()


def _refuse_impossible(spec: SandboxSpec) -> None:
    if spec.network_mode == "host" and spec.isolation != "namespaces":
        reason = f"isolation {spec.isolation!r} cannot share the host's network"
        raise DriverError("ContainerNetworkingError", reason)
    if spec.isolation != "namespaces" and (spec.pid_mode == "host" or spec.ipc_mode not in ("own", "none")):
        reason = f"isolation {spec.isolation!r} shares neither the host's processes nor System V IPC"
        raise DriverError("ResourceInitializationError", reason)
    if spec.ports and spec.network_mode != "bridge":
        reason = f"host ports are mapped in bridge mode only, not in {spec.network_mode} mode"
        raise DriverError("ContainerNetworkingError", reason)


def _hostname(spec: SandboxSpec) -> str:
    if spec.network_mode == "host":
        return socket.gethostname()
    if spec.interface is not None and spec.interface.hostname:
        return spec.interface.hostname
    return spec.id[:12]
