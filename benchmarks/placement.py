"""Pure placement at 5,000 instances and 50,000 tasks: decisions per second, by strategy and by tasks in a call.

Run: python benchmarks/placement.py [--instances N] [--tasks N]. Each figure is the median of five runs; every run
decides anew from the same state, without writing: what a write and the journal cost is measured elsewhere.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable

from moorage.base.ids import AccountId, ClusterArn, ContainerInstanceArn, Region, TaskArn, TaskDefinitionArn
from moorage.model.container_instance import Attribute, ContainerInstance, Resources
from moorage.model.task import Task
from moorage.rules.placement import Placement, Want, place, place_on_fleet
from moorage.rules.placement_filters import Attributes
from moorage.rules.placement_order import ZONE, Strategy
from moorage.store.usage import Usage

CLUSTER = ClusterArn("arn:aws:ecs:us-east-1:123456789012:cluster/bench")
ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
NAMES = tuple(f"com.amazonaws.ecs.capability.bench-{number}" for number in range(30))
ROOM = Resources(cpu=64 * 1024, memory=256 * 1024, ports_tcp=(22, 2375, 2376, 51678, 51679))
TASK = Resources(cpu=256, memory=512)
RUNS = 5
RUN_S = 0.4

STRATEGIES = {
    "random": (),
    "spread zone": (Strategy("spread", ZONE),),
    "spread zone, instance": (Strategy("spread", ZONE), Strategy("spread", "instanceId")),
    "binpack memory": (Strategy("binpack", "memory"),),
    "spread zone, binpack memory": (Strategy("spread", ZONE), Strategy("binpack", "memory")),
}


class SeededDice:
    """Dice that throw the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)


def instance(number: int) -> ContainerInstance:
    arn = ContainerInstanceArn(f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/bench/{number:032x}")
    zone = Attribute(name=ZONE, value=ZONES[number % len(ZONES)])
    return ContainerInstance(
        arn=arn,
        id=f"{number:032x}",
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        agent_connected=True,
        registered=ROOM,
        attributes=(zone, *(Attribute(name=name) for name in NAMES)),
        registered_at=0.0,
    )


def task(number: int, host: ContainerInstance) -> Task:
    return Task(
        arn=TaskArn(f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/bench/{number:032x}"),
        id=f"{number:032x}",
        account=ACCOUNT,
        region=REGION,
        cluster=CLUSTER,
        task_definition=TaskDefinitionArn("bench:1"),
        family="bench",
        launch_type="EC2",
        instance=host.arn,
        group=f"service:{number % 50}",
        availability_zone=host.availability_zone or "",
        network_mode="bridge",
        reserved=TASK,
        last_status="RUNNING",
        containers=(),
        created_at=0.0,
    )


def filled(instances: int, tasks: int) -> Usage:
    """The usage of `tasks` tasks of 50 services, thrown over `instances` hosts in three zones."""
    usage, dice = Usage(), random.Random(1)
    hosts = [instance(number) for number in range(instances)]
    for host in hosts:
        usage.observe_instance(None, host)
    for number in range(tasks):
        usage.observe(None, task(number, dice.choice(hosts)))
    return usage


def rate(decide: Callable[[], Placement]) -> float:
    """Decisions per second, each of them a task that found its node."""
    decided, start = 0, time.perf_counter()
    while time.perf_counter() - start < RUN_S:
        placement = decide()
        assert placement.refusal is None
        decided += len(placement.chosen)
    return decided / (time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=5_000)
    parser.add_argument("--tasks", type=int, default=50_000)
    options = parser.parse_args()
    usage = filled(options.instances, options.tasks)
    pool, group = usage.pool(CLUSTER), usage.group(CLUSTER, "service:7")
    print(f"{options.instances} instances, {options.tasks} tasks; decisions/s: median (lowest-highest) of {RUNS}")
    for distinct in (False, True):
        for name, strategies in STRATEGIES.items():
            want = Want(TASK, (Attributes(frozenset(NAMES[:10])),), distinct=distinct, strategies=strategies)
            for count in (1, 10, 500):
                dice = SeededDice(count)
                rates = [rate(lambda: place(want, count, pool, group, dice)) for _ in range(RUNS)]  # noqa: B023 - called at once
                tell(f"{name}{', distinct' if distinct else ''}", count, rates)
    fleet = Want(TASK, (Attributes(frozenset(NAMES[:10])),))
    for count in (1, 10, 500):
        dice = SeededDice(count)
        rates = [rate(lambda: place_on_fleet(fleet, count, pool, group, ZONES, dice)) for _ in range(RUNS)]  # noqa: B023
        tell("Fargate", count, rates)
    return 0


def tell(name: str, count: int, rates: list[float]) -> None:
    low, middle, high = min(rates), statistics.median(rates), max(rates)
    print(f"{name:42} {count:4} a call {middle:10,.0f} ({low:,.0f}-{high:,.0f})")


if __name__ == "__main__":
    sys.exit(main())
