"""The chain, from signed bytes to answered bytes, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

import pytest

from moorage.api.call import Installation
from moorage.base.ids import AccountId, Region
from moorage.boot.first_start import prepare
from moorage.boot.services import SERVICES
from moorage.gateway.chain import Gateway, World, routes_of
from moorage.model.installation import Settings
from moorage.store import Store
from moorage.store.events_memory import MemoryEvents
from moorage.store.journal import Batch, MemoryJournal
from moorage.wire.http import Request, Response
from moorage.wire.signer import Signer
from tests.unit.support import NOW_S, SeededDice

URL = "http://127.0.0.1:8780/"
SETTINGS = Settings(
    id="0123abcd",
    account=AccountId("123456789012"),
    regions=(Region("us-east-1"),),
    host="127.0.0.1",
    port=8780,
    vpc_cidr="172.31.0.0/16",
    nodes=(),
)


class SlowJournal(MemoryJournal):
    """A journal whose disk answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def append(self, batch: Batch) -> None:
        self.batches.append(batch)

    def write(self) -> None:
        batches, self.batches = self.batches, []
        for batch in batches:
            super().append(batch)

    def refuse(self) -> None:
        self._stalled("no space left on device")

    def start(self, durable: Callable[[int], None], stalled: Callable[[str | None], None]) -> None:
        super().start(durable, stalled)
        self._stalled = stalled


class FixedClock:
    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0


class Whole:
    """A body that has arrived."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, limit_bytes: int) -> bytes:
        assert len(self._data) <= limit_bytes
        return self._data

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._data


class Edge:
    """A gateway with its state."""

    def __init__(self) -> None:
        self.journal = SlowJournal()
        self.store = Store(self.journal)
        dice = SeededDice()
        prepare(self.store, SETTINGS, dice, NOW_S)
        self.journal.write()
        installation = Installation(account=SETTINGS.account, regions=SETTINGS.regions, endpoint=URL)
        self.gateway = Gateway(
            World(self.store, MemoryEvents(), installation, FixedClock(), dice, routes_of(SERVICES))
        )

    def signer(self, service: str, kind: str = "root", region: str = "us-east-1") -> Signer:
        key = next(key for key in self.store.view().access_keys if key.kind == kind)
        return Signer(access_key_id=key.id, secret=key.secret, region=region, service=service)

    def json(self, operation: str, body: object, signer: Signer | None = None) -> Request:
        """A signed ECS request."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"AmazonEC2ContainerServiceV20141113.{operation}",
        }
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = (signer or self.signer("ecs")).headers("POST", URL, headers=headers, body=data, now_s=NOW_S)
        return Request(method="POST", path="/", query="", headers=signed, peer="127.0.0.1", body=Whole(data))

    def form(self, service: str, **members: str) -> Request:
        """A signed query or ec2 request."""
        data = urlencode(members).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        signed = self.signer(service).headers("POST", URL, headers=headers, body=data, now_s=NOW_S)
        return Request(method="POST", path="/", query="", headers=signed, peer="127.0.0.1", body=Whole(data))

    def answer(self, request: Request) -> tuple[int, dict[str, str]]:
        """Status and body of a JSON answer; whatever was written is durable at once."""

        async def ask() -> Response:
            answering = asyncio.ensure_future(self.gateway.handle(request))
            await asyncio.sleep(0)
            self.journal.write()
            return await answering

        response = asyncio.run(ask())
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body)


@pytest.fixture
def edge() -> Edge:
    return Edge()


def test_an_answer_waits_until_its_write_is_durable(edge: Edge) -> None:
    async def ask() -> None:
        answering = asyncio.ensure_future(edge.gateway.handle(edge.json("CreateCluster", {"clusterName": "a"})))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not answering.done()
        assert edge.journal.batches, "the write itself was taken"
        edge.journal.write()
        assert (await answering).status == 200

    asyncio.run(ask())


def test_reading_what_is_not_durable_yet_waits_as_well(edge: Edge) -> None:
    async def ask() -> None:
        writing = asyncio.ensure_future(edge.gateway.handle(edge.json("CreateCluster", {"clusterName": "a"})))
        reading = asyncio.ensure_future(edge.gateway.handle(edge.json("ListClusters", {})))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not reading.done()
        edge.journal.write()
        assert {(await writing).status, (await reading).status} == {200}

    asyncio.run(ask())


def test_a_refusing_disk_is_answered_with_503_and_changes_nothing(edge: Edge) -> None:
    edge.journal.refuse()
    status, body = edge.answer(edge.json("CreateCluster", {"clusterName": "a"}))
    assert (status, body["__type"]) == (503, "ServiceUnavailable")
    assert "no space left on device" in body["message"]
    assert len(edge.store.view().clusters) == 1, "only the fleet's own"


def test_a_member_that_is_not_built_is_refused_by_name(edge: Edge) -> None:
    wanted = {"clusterName": "a", "serviceConnectDefaults": {"namespace": "n"}}
    status, body = edge.answer(edge.json("CreateCluster", wanted))
    assert (status, body["__type"]) == (400, "InvalidParameterException")
    assert "serviceConnectDefaults" in body["message"]


def test_an_operation_that_is_not_built_is_refused_as_unknown(edge: Edge) -> None:
    status, body = edge.answer(edge.json("CreateService", {"serviceName": "s"}))
    assert (status, body["__type"]) == (400, "UnknownOperationException")


def test_a_node_may_do_what_agents_do_and_nothing_else(edge: Edge) -> None:
    status, body = edge.answer(edge.json("ListClusters", {}, edge.signer("ecs", "node")))
    assert (status, body["__type"]) == (400, "AccessDeniedException")
    assert "ecs:ListClusters" in body["message"]


def test_another_region_is_not_served(edge: Edge) -> None:
    status, body = edge.answer(edge.json("ListClusters", {}, edge.signer("ecs", region="eu-west-1")))
    assert (status, body["__type"]) == (400, "InvalidSignatureException")
    assert "eu-west-1" in body["message"]


def test_a_changed_body_does_not_fit_its_signature(edge: Edge) -> None:
    honest = edge.json("DeleteCluster", {"cluster": "a"})
    forged = Request(
        method=honest.method,
        path=honest.path,
        query="",
        headers=honest.headers,
        peer="127.0.0.1",
        body=Whole(b'{"cluster": "b"}'),
    )
    status, body = edge.answer(forged)
    assert (status, body["__type"]) == (400, "InvalidSignatureException")


def test_query_and_ec2_answer_in_xml(edge: Edge) -> None:
    async def ask(request: Request) -> Response:
        return await edge.gateway.handle(request)

    who = asyncio.run(ask(edge.form("sts", Action="GetCallerIdentity", Version="2011-06-15")))
    assert (who.status, b"<Account>123456789012</Account>" in who.body) == (200, True)  # type: ignore[operator]  # bytes
    vpcs = asyncio.run(ask(edge.form("ec2", Action="DescribeVpcs", Version="2016-11-15")))
    assert (vpcs.status, b"<cidrBlock>172.31.0.0/16</cidrBlock>" in vpcs.body) == (200, True)  # type: ignore[operator]
