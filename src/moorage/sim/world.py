"""One simulated run: a server, hosts, clients, faults and then calm; checked all along.

Everything random comes from the seed, so a run can be repeated to the last event; `trace` tells what happened.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from moorage.agent.registration import RESERVED_PORTS, NodeIdentity, attributes
from moorage.base.errors import MoorageError, Refused
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.container_instance import Resources
from moorage.sim import checkers, runs
from moorage.sim.agent import Role, SimAgent
from moorage.sim.dice import SeededDice
from moorage.sim.host import Faults, Network, SimHost
from moorage.sim.server import REGION, SimServer
from moorage.sim.time import VirtualTime

# Faults for a minute and a half of virtual time, then long enough for every back-off, grace and stop timeout to end.
STORM_S: Final = 90.0
CALM_S: Final = 240.0
FLEET_HOSTS, INSTANCES = 2, 3
CLIENT_PERIOD_S: Final = 0.4
FAULT_PERIOD_S: Final = 3.0
# Invariants over the whole state cost more than most steps: they are looked at after one step in so many, and at the
# end of every phase.
CHECK_EVERY: Final = 25


FAMILIES: Final = (
    *("bridge-0", "bridge-1", "bridge-2", "fargate-0", "fargate-1", "fargate-2", "port"),
    *("after-0", "after-1", "healthy", "again"),
)


class BrokenInvariant(AssertionError):
    """Something that must always hold does not."""


class SimWorld:
    """Build it with a seed, then `run`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.time = VirtualTime()
        self.dice = SeededDice(seed)
        self.lines: list[str] = []
        self.server = SimServer(self.time, self.dice)
        self.server.start()
        network = Network()
        self.agents = [self._agent(f"fleet-{n}", FARGATE_CLUSTER, network) for n in range(FLEET_HOSTS)]
        self.agents += [self._agent(f"instance-{n}", "default", network) for n in range(INSTANCES)]
        self.acknowledged: list[str] = []
        self._stormy = True
        self._steps = 0

    def _agent(self, name: str, cluster: str, network: Network) -> SimAgent:
        fleet = cluster == FARGATE_CLUSTER
        identity = NodeIdentity(
            cluster=cluster,
            region=REGION,
            fleet=fleet,
            zone=None if fleet else f"{REGION}a",
            isolation="userns" if fleet else "namespaces",
            total=Resources(cpu=4096, memory=8192, ports_tcp=() if fleet else RESERVED_PORTS),
        )
        role = Role(cluster, attributes(identity), identity.total)
        return SimAgent(SimHost(name, self.time, self.dice, network), self.server, self.time, self.dice, role)

    # ---- the run

    def run(self) -> str:
        """The whole run; the digest of its trace. Raises `BrokenInvariant` or any assertion of the platform's own."""
        self.begin()
        self.time.run_until(STORM_S, self._after_step)
        self._calm()
        self.time.run_until(STORM_S + CALM_S, self._after_step)
        self._check_end()
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    def begin(self) -> None:
        """Start everything; time stands still until it is run."""
        self._call("CreateCluster", {"clusterName": "default"}, lambda _: self._define())
        for agent in self.agents:
            agent.host.faults = Faults(step_fails=0.03, dies_early=0.15, ignores_term=0.2, slow=0.03)
            agent.start()
        self.time.call_later(1.0, self._client)
        self.time.call_later(FAULT_PERIOD_S, self._fault)

    def _say(self, line: str) -> None:
        self.lines.append(f"{self.time.steady_s():9.4f} {line}")

    def _after_step(self) -> None:
        self._steps += 1
        if self._steps % CHECK_EVERY == 0 and self.server.up:
            self._require(checkers.always(self.server.store.view()))

    def _require(self, broken: Any) -> None:
        found = sorted(broken)
        if found:
            raise BrokenInvariant("; ".join(found[:5]))

    def _check_end(self) -> None:
        state = self.server.store.view()
        self._require(checkers.always(state))
        self._require(checkers.forgotten(state, self.acknowledged))
        self._require(checkers.settled(state))
        for agent in self.agents:
            self._require(runs.out_of_order(state, agent.host.runs))
            self._require(runs.started_too_often(state, agent.host.runs))
            self._require(runs.health_is_untrue(state, agent.host.runs, self.time.now_s()))
        self._require(self._hosts_disagree())

    def _hosts_disagree(self) -> list[str]:
        """Once quiet, what runs on the hosts is what the state says runs, no more and no less."""
        state = self.server.store.view()
        broken = []
        wanted = {task.id for task in state.tasks if task.desired_status == "RUNNING"}
        found: dict[str, str] = {}
        for agent in self.agents:
            for id_ in agent.host.sandboxes:
                if id_ in found:
                    broken.append(f"task {id_} is on {found[id_]} and on {agent.host.name}")
                found[id_] = agent.host.name
            broken += [
                f"container {id_} of {agent.host.name} runs without a task"
                for id_, one in agent.host.containers.items()
                if one.exit is None and one.spec.sandbox not in wanted
            ]
        broken += [f"task {id_} runs nowhere" for id_ in wanted - found.keys()]
        broken += [f"the sandbox of {id_} is left on {found[id_]}" for id_ in found.keys() - wanted]
        return broken

    # ---- clients

    def _call(self, operation: str, request: dict[str, Any], then: Any) -> None:
        """An API call as a client makes it: the answer may be lost, the request may not arrive."""
        server = self.server

        def answered(answer: dict[str, Any] | MoorageError) -> None:
            if isinstance(answer, Refused):
                self._say(f"{operation} refused: {answer.code}")
            elif isinstance(answer, MoorageError):
                self._say(f"{operation} failed: {answer}")
            else:
                then(answer)

        def arrive() -> None:
            if server.up:
                server.call("root", ("ecs", operation), msgspec.json.encode(request), answered)
            else:
                self._say(f"{operation}: nobody answers")

        self.time.call_later(self.dice.between(0.0002, 0.01), arrive)

    def _define(self) -> None:
        """Task definitions of different shapes."""
        plain = {"name": "main", "image": "busybox", "memory": 256, "cpu": 128}
        lives = (["forever"], ["for", "3", "0"], ["for", "20", "7"])
        for n, command in enumerate(lives):
            self._register(f"bridge-{n}", {"networkMode": "bridge"}, plain | {"command": command})
            fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
            self._register(f"fargate-{n}", fargate, plain | {"command": command})
        self._define_companions(plain)
        mapping = [{"containerPort": 80, "hostPort": 8080}]
        self._register("port", {"networkMode": "bridge"}, plain | {"command": ["forever"], "portMappings": mapping})

    def _define_companions(self, main: dict[str, Any]) -> None:
        """Tasks whose containers wait for each other, are checked, and are started again."""
        side = {"image": "busybox", "memory": 64, "essential": False}
        check = {"command": ["CMD", "after", "12"], "interval": 5, "retries": 2}
        bridge = {"networkMode": "bridge"}
        for n, code in enumerate(("0", "3")):
            once = side | {"name": "once", "command": ["for", "4", code]}
            waits = [{"containerName": "once", "condition": "SUCCESS"}]
            task = main | {"command": ["forever"], "dependsOn": waits}
            self._register(f"after-{n}", bridge, task, once)
        served = side | {"name": "served", "command": ["forever"], "healthCheck": check, "startTimeout": 60}
        waits = [{"containerName": "served", "condition": "HEALTHY"}]
        last = side | {
            "name": "last",
            "command": ["forever"],
            "dependsOn": [{"containerName": "main", "condition": "START"}],
        }
        ill = {"command": ["CMD", "never"], "interval": 5, "retries": 2}
        task = main | {"command": ["forever"], "dependsOn": waits, "healthCheck": ill}
        self._register("healthy", bridge, last, task, served)
        policy = {"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": [9]}
        task = main | {"command": ["for", "62", "1"], "restartPolicy": policy, "healthCheck": check}
        self._register("again", bridge, task)

    def _register(self, family: str, task: dict[str, Any], *containers: dict[str, Any]) -> None:
        request = {"family": family, "containerDefinitions": list(containers)} | task
        self._call("RegisterTaskDefinition", request, lambda _: self._say(f"registered {family}"))

    def _client(self) -> None:
        if not self._stormy:
            return
        self.time.call_later(self.dice.between(0.0, 2 * CLIENT_PERIOD_S), self._client)
        if self.acknowledged and self.dice.chance(0.45):
            arn = self.dice.pick(self.acknowledged)
            self._call("StopTask", {"task": arn}, lambda _: self._say(f"stopping {arn[-8:]}"))
        else:
            self._run_task()

    def _run_task(self) -> None:
        family = self.dice.pick(FAMILIES)
        request: dict[str, Any] = {"taskDefinition": family, "count": self.dice.pick((1, 1, 2, 5))}
        if family.startswith("fargate"):
            subnets = [subnet.id for subnet in self.server.store.view().subnets] if self.server.up else []
            request |= {
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets}},
            }
        else:
            request["launchType"] = "EC2"

        def accepted(answer: dict[str, Any]) -> None:
            arns = [task["taskArn"] for task in answer["tasks"]]
            self.acknowledged += arns
            reasons = sorted({one.get("detail", one["reason"]) for one in answer["failures"]})
            self._say(f"run {family}: {[arn[-8:] for arn in arns]} {reasons}")

        self._call("RunTask", request, accepted)

    # ---- faults

    def _fault(self) -> None:
        if not self._stormy:
            return
        self.time.call_later(self.dice.between(0.0, 2 * FAULT_PERIOD_S), self._fault)
        agent = self.dice.pick(self.agents)
        kind = self.dice.pick(("server", "agent", "partition", "hang up", "disk", "host"))
        self._say(f"fault: {kind} {agent.host.name}")
        if kind == "server":
            self._crash_server()
        elif kind == "agent" and agent.up:
            agent.crash()
            self.time.call_later(self.dice.between(0.01, 10.0), lambda: self._start_agent(agent))
        elif kind == "partition":
            agent.partitioned = True
            agent.hang_up()
            self.time.call_later(self.dice.between(0.1, 30.0), lambda: self._heal(agent))
        elif kind == "hang up":
            agent.hang_up()
        elif kind == "disk":
            self.server.disk.refuses = True
            self.time.call_later(self.dice.between(0.1, 5.0), self._mend_disk)
        elif kind == "host" and self.dice.chance(0.3):
            agent.reboot()
            self.time.call_later(self.dice.between(0.1, 5.0), lambda: self._start_agent(agent))

    def _crash_server(self) -> None:
        if self.server.up:
            self.server.crash()
            self.time.call_later(self.dice.between(0.01, 5.0), self._start_server)

    def _start_server(self) -> None:
        if not self.server.up:
            self.server.start()

    def _start_agent(self, agent: SimAgent) -> None:
        if not agent.up:
            agent.start()

    def _heal(self, agent: SimAgent) -> None:
        agent.partitioned = False

    def _mend_disk(self) -> None:
        self.server.disk.refuses = False

    def _calm(self) -> None:
        """No more faults, no more requests; everything that is down comes back."""
        self._say("calm")
        self._stormy = False
        self._mend_disk()
        self._start_server()
        for agent in self.agents:
            agent.partitioned = False
            agent.host.faults = Faults()
            self._start_agent(agent)
