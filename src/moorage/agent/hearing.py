"""What the control plane's messages mean to the machine; the session carries them, the simulator delivers them."""

from __future__ import annotations

from moorage.agent import events as on
from moorage.agent.payload import NodeTraits, read_payload
from moorage.agent.spec import SandboxId
from moorage.link import acs


def event_of(message: acs.Message, traits: NodeTraits) -> on.Event | None:
    """The event that a message is, or None for one that the machine has no use for."""
    if isinstance(message, acs.PayloadMessage):
        return read_payload(message, traits)
    if isinstance(message, acs.TaskManifestMessage):
        running = tuple(_id_of(task) for task in message.tasks if task.desired_status == "RUNNING")
        return on.ManifestReceived(message_id=message.message_id, timeline=message.timeline, running=running)
    if isinstance(message, acs.TaskStopVerificationAck):
        return on.StopsVerified(tasks=tuple(_id_of(task) for task in message.stop_tasks))
    return None


def _id_of(task: acs.TaskIdentifier) -> SandboxId:
    return SandboxId(task.task_arn.rpartition("/")[2])
