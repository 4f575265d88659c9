"""What must be true of the platform, at any moment or once it is quiet. Each check gives sentences, none when all is
well; tests, the simulator and an operator's doctor may call them alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from moorage.model.container_instance import Resources
from moorage.store import State


def always(state: State) -> Iterator[str]:
    """What holds between any two transactions."""
    yield from over_capacity(state)
    yield from doubled_addresses(state)
    yield from interfaces_and_tasks_agree(state)


def over_capacity(state: State) -> Iterator[str]:
    """No instance is promised more than it has, counted from the tasks themselves and not from the index."""
    for instance in state.container_instances:
        tasks = state.tasks.by("instance", instance.arn)
        held = [task.reserved for task in tasks]
        cpu, memory = sum(one.cpu for one in held), sum(one.memory for one in held)
        has = instance.registered
        if cpu > has.cpu or memory > has.memory:
            yield f"{instance.id} holds cpu {cpu} of {has.cpu} and memory {memory} of {has.memory}"
        for protocol, ports in (("tcp", _ports(held, "ports_tcp")), ("udp", _ports(held, "ports_udp"))):
            for port, count in Counter(ports).items():
                if count > 1:
                    yield f"{count} tasks hold {protocol} port {port} on {instance.id}"
        told = state.usage.of(instance.arn)
        if (told.cpu, told.memory) != (cpu, memory):
            yield f"the usage index of {instance.id} says {told}, its tasks say cpu {cpu}, memory {memory}"


def _ports(held: Iterable[Resources], kind: str) -> Iterator[int]:
    for one in held:
        yield from getattr(one, kind)


def doubled_addresses(state: State) -> Iterator[str]:
    """No two interfaces have one address."""
    for (vpc, address), count in Counter((one.vpc, one.address) for one in state.network_interfaces).items():
        if count > 1:
            yield f"{count} interfaces have {address} in {vpc}"


def interfaces_and_tasks_agree(state: State) -> Iterator[str]:
    """An interface belongs to a task that has not stopped, and such a task's interface exists."""
    wanted = {task.interface for task in state.tasks if task.interface is not None and not task.stopped}
    there = {one.id for one in state.network_interfaces}
    for missing in sorted(wanted - there):
        yield f"the interface {missing} of a task is gone"
    for stray in sorted(there - wanted):
        yield f"the interface {stray} belongs to no task"


def forgotten(state: State, acknowledged: Iterable[str]) -> Iterator[str]:
    """Every task whose start was acknowledged is known. For runs shorter than stopped tasks are kept."""
    for arn in acknowledged:
        if arn not in state.tasks:
            yield f"the acknowledged task {arn} is forgotten"


def settled(state: State) -> Iterator[str]:
    """Once faults have ended: what should run runs, what should stop has stopped."""
    for task in state.tasks:
        if task.desired_status == "RUNNING" and task.last_status != "RUNNING":
            yield f"{task.id} should run and is {task.last_status}"
        if task.desired_status == "STOPPED" and task.last_status != "STOPPED":
            yield f"{task.id} should stop and is {task.last_status}"
