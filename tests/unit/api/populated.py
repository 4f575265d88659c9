"""An installation with something of everything in it, and its gateway: signed bytes in, answered bytes out."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
from msgspec import structs
from msgspec.structs import replace

from moorage.api.call import Call, Installation
from moorage.api.logs.events import InputLogEvent, PutLogEventsRequest, put_log_events
from moorage.api.logs.groups import CreateLogGroupRequest, create_log_group
from moorage.api.logs.streams import CreateLogStreamRequest, create_log_stream
from moorage.base.ids import Scope
from moorage.boot.first_start import prepare
from moorage.boot.services import SERVICES
from moorage.gateway.chain import Gateway, World, routes_of
from moorage.model.cluster import FARGATE_CLUSTER
from moorage.model.installation import Settings
from moorage.model.principal import NODE_ROLE
from moorage.store import Store
from moorage.store.events_memory import MemoryEvents
from moorage.store.journal import MemoryJournal
from moorage.wire.http import Request
from moorage.wire.signer import Signer
from tests.unit.api.ecs.asking import ask
from tests.unit.api.ecs.fleet import CAPABILITIES, define, define_fargate
from tests.unit.support import ACCOUNT, NOW_S, REGION, SeededDice

URL = "http://127.0.0.1:8780/"
SETTINGS = Settings(
    id="0123abcd", account=ACCOUNT, regions=(REGION,), host="127.0.0.1", port=8780, vpc_cidr="10.0.0.0/16", nodes=()
)
RESOURCES = [{"name": name, "type": "INTEGER", "integerValue": 4096} for name in ("CPU", "MEMORY")]
Answer = tuple[int, dict[str, Any]]


@cache
def model_of(service: str) -> Any:
    """botocore's own reading of a service's model."""
    loaded = botocore.loaders.Loader().load_service_model(service, "service-2")
    return botocore.model.ServiceModel(loaded, service)


_ROUTES = routes_of(SERVICES)


class FixedClock:
    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0


class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, limit_bytes: int) -> bytes:
        assert len(self._data) <= limit_bytes
        return self._data

    async def chunks(self) -> Any:
        yield self._data


class Populated:
    """The state and the door to it."""

    def __init__(self) -> None:
        self.store = Store(MemoryJournal())
        self.events = MemoryEvents()
        dice = SeededDice()
        prepare(self.store, SETTINGS, dice, NOW_S)
        installation = Installation(account=ACCOUNT, regions=(REGION,), endpoint=URL)
        root = f"arn:aws:iam::{ACCOUNT}:root"
        call = Call(self.store, self.events, installation, dice, NOW_S, Scope(ACCOUNT, REGION), root, user_id=ACCOUNT)
        _hosts(call)
        _tasks(call)
        _logs(call)
        self._gateway = Gateway(World(self.store, self.events, installation, FixedClock(), dice, _ROUTES))
        key = next(key for key in self.store.view().access_keys if key.kind == "root")
        self._signer = Signer(access_key_id=key.id, secret=key.secret, region=REGION, service="")

    def ask(self, service: str, operation: str, members: dict[str, Any]) -> Answer:
        """Status and parsed body of one request."""
        model = model_of(service).operation_model(operation)
        is_json = model_of(service).metadata["protocol"] == "json"
        data = json.dumps(members).encode() if is_json else _form(model, members)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if is_json:
            prefix = model_of(service).metadata["targetPrefix"]
            headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{prefix}.{operation}"}
        signer = structs.replace(self._signer, service=service)
        signed = signer.headers("POST", URL, headers=headers, body=data, now_s=NOW_S)
        request = Request(method="POST", path="/", query="", headers=signed, peer="127.0.0.1", body=_Body(data))
        response = asyncio.run(self._gateway.handle(request))
        assert isinstance(response.body, bytes)
        if is_json:
            return response.status, json.loads(response.body or b"{}")
        parser = botocore.parsers.create_parser(model_of(service).metadata["protocol"])
        whole = {"status_code": response.status, "headers": {}, "body": response.body}
        return response.status, parser.parse(whole, model.output_shape)


def _form(model: Any, members: dict[str, Any]) -> bytes:
    protocol = model.service_model.metadata["protocol"]
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    return urlencode(serializer.serialize_to_request(members, model)["body"], doseq=True).encode()


def _hosts(call: Call) -> None:
    agent = Call(
        call.store,
        call.events,
        call.installation,
        call.dice,
        NOW_S,
        call.scope,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{NODE_ROLE}/KEY",
        user_id="node",
    )
    ask(call, "CreateCluster", tags=[{"key": "team", "value": "blue"}], capacityProviders=["FARGATE"])
    ask(call, "CreateCluster", clusterName="gone")
    ask(call, "DeleteCluster", cluster="gone")
    attributes = [{"name": name} for name in CAPABILITIES]
    attributes += [{"name": "ecs.os-type", "value": "linux"}, {"name": "ecs.cpu-architecture", "value": "x86_64"}]
    for cluster in ("default", "default", FARGATE_CLUSTER):
        ask(agent, "RegisterContainerInstance", cluster=cluster, totalResources=RESOURCES, attributes=attributes)
    with call.store.update() as tx:
        for host in list(tx.container_instances):
            tx.container_instances.put(replace(host, agent_connected=True))


def _tasks(call: Call) -> None:
    define(call, "web")
    define(call, "eni", mode="awsvpc")
    define_fargate(call)
    subnets = [subnet.id for subnet in call.store.view().subnets]
    network = {"awsvpcConfiguration": {"subnets": subnets}}
    ask(call, "RunTask", taskDefinition="web", count=3, startedBy="me", clientToken="once", tags=[{"key": "a"}])
    ask(call, "RunTask", taskDefinition="eni", networkConfiguration=network)
    ask(call, "RunTask", taskDefinition="fargate", launchType="FARGATE", networkConfiguration=network)
    first, second, *_ = [task.arn for task in call.store.view().tasks]
    running = [{"containerName": "app", "status": "RUNNING", "runtimeId": "r1"}]
    ask(call, "SubmitTaskStateChange", task=first, status="RUNNING", containers=running)
    ask(
        call, "SubmitTaskStateChange", task=second, status="STOPPED", containers=[{**running[0], "status": "STOPPED"}]
    )


def _logs(call: Call) -> None:
    create_log_group(call, CreateLogGroupRequest(log_group_name="/app", tags={"team": "blue"}))
    for name in ("one", "two"):
        create_log_stream(call, CreateLogStreamRequest(log_group_name="/app", log_stream_name=name))
    events = tuple(InputLogEvent(timestamp=int(NOW_S * 1000) + n, message=f'{{"n": {n}}}') for n in range(20))
    put_log_events(call, PutLogEventsRequest(log_group_name="/app", log_stream_name="one", log_events=events))
