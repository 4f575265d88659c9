"""Whatever happens in whatever order: every task comes to its end, and nothing is left, doubled or overbooked."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from moorage.agent import events as on
from moorage.agent.spec import SandboxId
from moorage.agent.task import Dependency, HealthPlan, LogPlan, RestartPlan, TaskPlan
from moorage.model.container_instance import Resources

from .world import World, plan, with_containers

LOG = LogPlan(group="/g", stream="s", region="us-east-1")
ROUNDS_MAX = 2_000  # far more than any of these histories needs to settle


HEALTH = HealthPlan(command=("check",), interval_s=5.0, timeout_s=2.0, retries=2)
# How a container behaves towards the others; what it waits for must come before it, so that there is an order.
CONDUCT = st.fixed_dictionaries(
    {
        "depends_on": st.lists(
            st.builds(
                Dependency,
                index=st.integers(0, 1),
                condition=st.sampled_from(["START", "COMPLETE", "SUCCESS", "HEALTHY"]),
            ),
            max_size=2,
        ).map(tuple),
        "health": st.sampled_from([None, HEALTH]),
        "restart": st.sampled_from([None, RestartPlan(period_s=10.0), RestartPlan(period_s=0.0, ignored_codes=(1,))]),
        "start_timeout_s": st.sampled_from([None, 20.0]),
    }
)


def _possible(conduct: dict[str, object], index: int) -> dict[str, object]:
    depends_on = conduct["depends_on"]
    assert isinstance(depends_on, tuple)
    return conduct | {"depends_on": tuple(one for one in depends_on if one.index < index)}


class MachineInAnyWeather(RuleBasedStateMachine):
    """Payloads, answers out of order, failures, exits, timers and agent restarts, as hypothesis likes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Resources(cpu=1024, memory=2048, ports_tcp=(22,)))
        self.wanted: dict[SandboxId, TaskPlan] = {}
        self.stopped: set[SandboxId] = set()
        self.ended_earlier: set[SandboxId] = set()  # acknowledged to an earlier agent

    @rule(
        essential=st.lists(st.booleans(), min_size=0, max_size=2),
        cpu=st.sampled_from([128, 512, 1024, 4096]),
        port=st.sampled_from([0, 80, 81]),
        logs=st.booleans(),
        conduct=st.lists(CONDUCT, min_size=3, max_size=3),
    )
    def run(self, essential: list[bool], cpu: int, port: int, logs: bool, conduct: list[dict[str, object]]) -> None:
        task = plan(
            len(self.wanted), True, *essential, cpu=cpu, ports=(port,) if port else (), log=LOG if logs else None
        )
        task = with_containers(
            task, *(_possible(each, index) for index, each in enumerate(conduct[: len(task.containers)]))
        )
        self.wanted[task.id] = task
        self.world.run(task)

    @rule(data=st.data())
    def payload_again(self, data: st.DataObject) -> None:
        """Late, on the same connection. A new connection's payloads know which ends were acknowledged."""
        known = [task for id_, task in self.wanted.items() if id_ not in self.ended_earlier]
        if known:
            self.world.run(data.draw(st.sampled_from(known)))

    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        if self.wanted:
            id_ = data.draw(st.sampled_from(list(self.wanted)))
            self.stopped.add(id_)
            self.world.stop(id_)

    @rule(data=st.data(), fails=st.sampled_from([False, False, False, True]))
    def answer(self, data: st.DataObject, fails: bool) -> None:
        if self.world.pending:
            self.world.answer(data.draw(st.integers(0, len(self.world.pending) - 1)), fails=fails)

    @rule(data=st.data())
    def fire(self, data: st.DataObject) -> None:
        if self.world.timers:
            timer = self.world.timers.pop(data.draw(st.integers(0, len(self.world.timers) - 1)))
            self.world.feed(timer)

    @rule(data=st.data())
    def becomes_well(self, data: st.DataObject) -> None:
        if self.world.containers:
            self.world.well.add(data.draw(st.sampled_from(list(self.world.containers))))

    @rule(seconds=st.sampled_from([1.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.sleep(seconds)

    @rule(data=st.data(), code=st.sampled_from([0, 1, None]))
    def container_ends(self, data: st.DataObject, code: int | None) -> None:
        running = [id_ for id_, status in self.world.containers.items() if status.state == "running"]
        if running:
            self.world.exit(data.draw(st.sampled_from(running)), code)

    @rule()
    def session_opens(self) -> None:
        self.world.feed(on.SessionOpened())

    @rule(happens=st.lists(st.booleans(), max_size=6))
    def agent_is_killed(self, happens: list[bool]) -> None:
        self.world.restart_agent(happens=happens)
        self.ended_earlier = {report.task for report in self.world.accepted if report.status == "STOPPED"}

    @invariant()
    def nothing_is_overbooked(self) -> None:
        held = self.world.machine.ledger.held.values()
        assert sum(need.cpu for need in held) <= self.world.total.cpu
        ports = [port for need in held for port in need.ports_tcp]
        assert len(ports) == len(set(ports))

    @invariant()
    def what_exists_belongs_to_a_task(self) -> None:
        assert set(self.world.sandboxes) <= set(self.world.machine.tasks)

    @invariant()
    def nobody_starts_before_its_turn(self) -> None:
        for task in self.world.machine.tasks.values():
            for container in task.containers:
                for dependency in container.plan.depends_on:
                    other = task.containers[dependency.index]
                    assert not container.ever_started or other.ever_started or dependency.condition == "START"

    def teardown(self) -> None:
        """Once faults stop, every task runs or has ended; after all are stopped, nothing is left."""
        self._settle()
        for id_, task in self.world.machine.tasks.items():
            waits = task.phase == "starting" and any(container.phase == "new" for container in task.containers)
            assert waits or task.phase in ("running", "waiting"), f"{id_} hangs in {task.phase}"
            assert id_ not in self.stopped, f"{id_} was to stop"
        self.world.stop(*self.wanted)
        self._settle()
        assert not self.world.machine.tasks
        assert not self.world.sandboxes
        assert not self.world.containers
        assert not self.world.records
        assert not self.world.machine.ledger.held
        ended = {report.task for report in self.world.accepted if report.status == "STOPPED"}
        assert ended == set(self.wanted)

    def _settle(self) -> None:
        for _ in range(ROUNDS_MAX):
            if self.world.pending:
                self.world.answer()
            elif timers := [timer for timer in self.world.timers if timer.timer != "health"]:
                self.world.timers.remove(timers[0])
                self.world.sleep(1.0)
                self.world.feed(timers[0])
            else:
                return  # health is looked at for ever
        raise AssertionError("it never settles")


TestMachineInAnyWeather = MachineInAnyWeather.TestCase
TestMachineInAnyWeather.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
