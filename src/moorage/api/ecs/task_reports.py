"""What agents report: SubmitTaskStateChange, SubmitContainerStateChange, SubmitAttachmentStateChanges.

Agents send each report until it is acknowledged, so the same one may come again, late, or after a newer one; what it
means is decided in `rules.lifecycle`. A report is never refused for its length: the agent would drop it for good.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from moorage.api.call import Call
from moorage.api.ecs.errors import InvalidParameter
from moorage.api.ecs.lookup import member_arn
from moorage.api.ecs.registration import agents_cluster
from moorage.link.payload import attachment_arn
from moorage.model.cluster import Cluster
from moorage.model.task import ContainerStatus, NetworkBinding, Task
from moorage.model.task_definition import TaskDefinition
from moorage.rules.lifecycle import ContainerReport, TaskReport, apply_report
from moorage.store import StateTx

REASON_MAX_CHARS: Final = 1024  # ECS's own number; a longer one is cut
RUNTIME_ID_MAX_CHARS: Final = 255
TASK_NOT_FOUND: Final = "The referenced task was not found."

_STATUSES: Final[dict[str, Literal["PENDING", "RUNNING", "STOPPED"]]] = {
    "PENDING": "PENDING",
    "RUNNING": "RUNNING",
    "STOPPED": "STOPPED",
}


class ContainerStateChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    container_name: str | None = None
    status: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    runtime_id: str | None = None
    image_digest: str | None = None
    network_bindings: tuple[NetworkBinding, ...] = ()


class AttachmentStateChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    attachment_arn: str
    status: str


class SubmitTaskStateChangeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task: str
    cluster: str | None = None
    status: str | None = None
    reason: str | None = None
    containers: tuple[ContainerStateChange, ...] = ()
    attachments: tuple[AttachmentStateChange, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


class SubmitContainerStateChangeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    task: str
    container_name: str
    cluster: str | None = None
    status: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    runtime_id: str | None = None
    network_bindings: tuple[NetworkBinding, ...] = ()


class SubmitAttachmentStateChangesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    attachments: tuple[AttachmentStateChange, ...]
    cluster: str | None = None


class Acknowledgment(msgspec.Struct, frozen=True, kw_only=True):
    acknowledgment: str = "ACK"


def submit_task_state_change(call: Call, request: SubmitTaskStateChangeRequest) -> Acknowledgment:
    """The task and its containers as they are; at STOPPED all that it held is free."""
    report = TaskReport(
        status=_status(request.status),
        reason=_cut(request.reason, REASON_MAX_CHARS),
        containers=tuple(_container_report(change) for change in request.containers),
        pull_started_at=request.pull_started_at,
        pull_stopped_at=request.pull_stopped_at,
        execution_stopped_at=request.execution_stopped_at,
    )
    with call.store.update() as tx:
        task = _task(tx, call, request.cluster, request.task)
        _apply(tx, task, report, call.now_s)
        for change in request.attachments:
            _attach(tx, task, change)
    return Acknowledgment()


def submit_container_state_change(call: Call, request: SubmitContainerStateChangeRequest) -> Acknowledgment:
    """One container alone."""
    change = ContainerStateChange(
        container_name=request.container_name,
        status=request.status,
        exit_code=request.exit_code,
        reason=request.reason,
        runtime_id=request.runtime_id,
        network_bindings=request.network_bindings,
    )
    with call.store.update() as tx:
        task = _task(tx, call, request.cluster, request.task)
        _apply(tx, task, TaskReport(containers=(_container_report(change),)), call.now_s)
    return Acknowledgment()


def submit_attachment_state_changes(call: Call, request: SubmitAttachmentStateChangesRequest) -> Acknowledgment:
    """The agent has found the interfaces of these attachments on its host."""
    with call.store.update() as tx:
        cluster = agents_cluster(tx, call, request.cluster)
        for change in request.attachments:
            _attach(tx, _attached(tx, call, cluster, change.attachment_arn), change)
    return Acknowledgment()


def _attached(tx: StateTx, call: Call, cluster: Cluster, arn: str) -> Task:
    """The task of an attachment. A host of the fleet names its own cluster, which is not its tasks'."""
    for task in tx.tasks.by("attachment", arn.rpartition("/")[2]):
        known = (task.account, task.region) == call.scope and attachment_arn(task) == arn
        if known and (cluster.fargate or task.cluster == cluster.arn):
            return task
    raise InvalidParameter(f"The attachment {arn} was not found.")


def _task(tx: StateTx, call: Call, cluster: str | None, name: str) -> Task:
    """The task that an agent means. It names its own cluster, which for the fleet is not the task's."""
    arn = name if name.startswith("arn:") else member_arn(call.scope, "task", agents_cluster(tx, call, cluster), name)
    task = tx.tasks.get(arn)
    if task is None or (task.account, task.region) != call.scope:
        raise InvalidParameter(TASK_NOT_FOUND)
    return task


def _apply(tx: StateTx, task: Task, report: TaskReport, now_s: float) -> None:
    definition = tx.task_definitions.get(task.task_definition)
    if task.network_mode == "host" and definition is not None:
        report = replace(report, containers=tuple(_with_host_ports(one, definition) for one in report.containers))
    after = apply_report(task, report, now_s)
    if after is task:
        return
    tx.tasks.put(after)
    if after.stopped and task.interface is not None:
        tx.network_interfaces.delete(task.interface)


def _attach(tx: StateTx, task: Task, change: AttachmentStateChange) -> None:
    if change.status != "ATTACHED" or change.attachment_arn != attachment_arn(task):
        raise InvalidParameter(f"The attachment {change.attachment_arn} cannot be {change.status}.")
    interface = tx.network_interfaces.get(task.interface) if task.interface else None
    if interface is not None and interface.status != "in-use":
        tx.network_interfaces.put(replace(interface, status="in-use"))


def _container_report(change: ContainerStateChange) -> ContainerReport:
    if not change.container_name:
        raise InvalidParameter("containerName must be specified.")
    status: ContainerStatus | None = _status(change.status)
    return ContainerReport(
        name=change.container_name,
        status=status,
        exit_code=change.exit_code,
        reason=_cut(change.reason, REASON_MAX_CHARS),
        runtime_id=_cut(change.runtime_id, RUNTIME_ID_MAX_CHARS),
        image_digest=change.image_digest,
        network_bindings=change.network_bindings,
    )


def _with_host_ports(report: ContainerReport, definition: TaskDefinition) -> ContainerReport:
    """In host mode agents report no ports: the container's are the host's."""
    part = next((one for one in definition.containers if one.name == report.name), None)
    if part is None or report.status != "RUNNING" or report.network_bindings:
        return report
    bindings = tuple(
        NetworkBinding(container_port=port.container_port, host_port=port.container_port, protocol=port.protocol)
        for port in part.port_mappings
    )
    return replace(report, network_bindings=bindings)


def _status(text: str | None) -> Literal["PENDING", "RUNNING", "STOPPED"] | None:
    """None where nothing is said, as in a report of an attachment alone."""
    if not text:
        return None
    if text not in _STATUSES:
        raise InvalidParameter(f"A status must be one of {', '.join(_STATUSES)}, not {text}.")
    return _STATUSES[text]


def _cut(text: str | None, most: int) -> str | None:
    return text[:most] if text else None
