"""Whatever is run, stopped and reported: no host gives more than it has, and in the end all is given back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.api.call import Call
from moorage.model.node import NOTHING
from moorage.model.task import LaunchType
from moorage.store.usage import Usage
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import awsvpc, define, define_fargate, installation, report_stopped
from tests.unit.records import a_task

LAUNCH_TYPES: tuple[LaunchType, ...] = ("EC2", "FARGATE", "EXTERNAL")
STARTING = ("PROVISIONING", "PENDING", "ACTIVATING")
RUNS: dict[str, dict[str, object]] = {
    "bridge": {"taskDefinition": "web"},
    "ports": {"taskDefinition": "ports"},
    "awsvpc": {"taskDefinition": "eni", "networkConfiguration": awsvpc("a", "b")},
    "fargate": {
        "taskDefinition": "fargate",
        "launchType": "FARGATE",
        "networkConfiguration": awsvpc("a", "b", "c"),
    },
}
steps = st.one_of(
    st.tuples(st.sampled_from(sorted(RUNS)), st.integers(1, 10)),
    st.tuples(st.sampled_from(["stop", "end"]), st.integers(0, 30)),
)


def check(call: Call) -> None:
    state = call.store.view()
    for host in state.container_instances:
        taken = state.usage.of(host.arn)
        assert taken.cpu <= host.registered.cpu
        assert taken.memory <= host.registered.memory
        ports = (*taken.ports_tcp, *host.registered.ports_tcp)
        assert len(set(ports)) == len(ports)
    holders = [task for task in state.tasks if task.interface and not task.stopped]
    assert len(holders) == len(state.network_interfaces)
    assert len({one.address for one in state.network_interfaces}) == len(holders)
    check_index(call)


def check_index(call: Call) -> None:
    """The usage that was kept step by step is the one that a restart would count."""
    state, counted = call.store.view(), Usage()
    for host in state.container_instances:
        counted.observe_instance(None, host)
    for task in state.tasks:
        counted.observe(None, task)
    for cluster in state.clusters:
        kept = {node.arn: node for node in state.usage.pool(cluster.arn).nodes}
        anew = {node.arn: node for node in counted.pool(cluster.arn).nodes}
        assert {arn: (one.cpu, one.memory, one.tasks) for arn, one in kept.items()} == {
            arn: (one.cpu, one.memory, one.tasks) for arn, one in anew.items()
        }
    for cluster in state.clusters:
        ours = [task for task in state.tasks if task.cluster == cluster.arn and not task.stopped]
        for usage in (state.usage.cluster(cluster.arn), counted.cluster(cluster.arn)):
            assert len(usage) == len(ours)
            assert usage.tasks("running") == sum(task.last_status == "RUNNING" for task in ours)
            for kind in LAUNCH_TYPES:
                pending = [task for task in ours if task.last_status in STARTING and task.launch_type == kind]
                assert usage.tasks("pending", kind) == len(pending)
    for task in state.tasks:
        kept_group = state.usage.group(task.cluster, task.group)
        anew_group = counted.group(task.cluster, task.group)
        assert (kept_group.on_instance, kept_group.in_zone) == (anew_group.on_instance, anew_group.in_zone)
        assert kept_group.fewest(0) == anew_group.fewest(0)


@settings(max_examples=60, deadline=None)
@given(script=st.lists(steps, max_size=15), seed=st.integers(0, 1 << 32))
def test_usage_is_never_more_than_there_is_and_ends_at_nothing(script: list[tuple[str, int]], seed: int) -> None:
    call = installation(instances=2, hosts=2, seed=seed)
    ports = [{"containerPort": 80, "hostPort": 8080}]
    define(call)
    define(call, "eni", mode="awsvpc")
    define_fargate(call)
    define(
        call,
        "ports",
        containerDefinitions=[{"name": "app", "image": "busybox", "memory": 700, "portMappings": ports}],
    )
    for what, number in script:
        arns = [task.arn for task in call.store.view().tasks]
        if what in RUNS:
            answer = ask(call, "RunTask", **RUNS[what], count=number)
            assert len(answer["tasks"]) + len(answer["failures"]) == number
        elif number < len(arns):
            ask(call, "StopTask", task=arns[number])
            if what == "end":
                report_stopped(call, arns[number])
        check(call)
    for task in list(call.store.view().tasks):
        report_stopped(call, task.arn)
    check(call)
    state = call.store.view()
    for host in state.container_instances:
        assert state.usage.of(host.arn) == NOTHING
        assert state.usage.tasks_on(host.arn) == 0


def take_and_fail(call: Call) -> None:
    with call.store.update() as tx:
        host = next(iter(tx.container_instances))
        tx.tasks.put(a_task(instance=host.arn))
        tx.container_instances.delete(host.arn)
        raise ValueError("not after all")


def test_a_transaction_that_fails_gives_back_what_it_took() -> None:
    call = installation(instances=2)
    with pytest.raises(ValueError, match="not after all"):
        take_and_fail(call)
    assert not len(call.store.view().tasks)
    check(call)
