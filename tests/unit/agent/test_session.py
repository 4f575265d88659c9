"""The websocket to the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from moorage.agent import events as on
from moorage.agent.payload import NodeTraits
from moorage.agent.session import Session, Unregistered
from moorage.link import acs
from moorage.link.refusal import Refusal
from moorage.wire.signer import Signer
from tests.unit.support import SeededDice

from .server import ScriptedApi, listening, run, until
from .test_api_client import ARN, StillClock, ecs_of

Talk = Callable[[ServerConnection], Awaitable[None]]


class Fixture:
    """A session whose control plane is a websocket server in the test."""

    def __init__(self) -> None:
        self.events: list[on.Event] = []
        self.requests: list[Request] = []
        self.refusals: list[Refusal] = []
        self.session: Session

    async def go(self, talk: Talk, until_true: Callable[[], bool]) -> None:
        api = ScriptedApi(answer=lambda *_: (200, self._endpoints(server)))
        async with serve(talk, "127.0.0.1", 0, process_request=self._greet) as server, listening(api):
            signer = Signer(access_key_id="AKIA", secret="s", region="us-east-1", service="ecs")
            self.session = Session(
                ecs=ecs_of(api),
                signer=signer,
                traits=NodeTraits(region="us-east-1"),
                clock=StillClock(),
                dice=SeededDice(),
                feed=self.events.append,
            )
            running = asyncio.create_task(self.session.run("lab", ARN))
            try:
                await until(lambda: running.done() or until_true())
                if running.done():
                    await running
            finally:
                running.cancel()
                await asyncio.wait([running])

    def _endpoints(self, server: Server) -> dict[str, Any]:
        port = next(iter(server.sockets)).getsockname()[1]
        return {"endpoint": f"http://127.0.0.1:{port}/acs"}

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if not self.refusals:
            return None
        refusal = self.refusals.pop(0)
        response = connection.respond(refusal.status, "")
        response.body = refusal.body()
        response.headers["content-length"], _ = str(len(response.body)), response.headers.pop("content-length")
        return response


async def silence(socket: ServerConnection) -> None:
    await socket.wait_closed()


def test_the_handshake_is_signed_and_says_who_comes() -> None:
    fixture = Fixture()
    run(fixture.go(silence, lambda: bool(fixture.events)))
    assert fixture.events == [on.SessionOpened()]
    request = fixture.requests[0]
    url = urlsplit(request.path)
    assert url.path == "/acs/ws"
    query = parse_qs(url.query)
    assert query["clusterArn"] == ["lab"]
    assert query["containerInstanceArn"] == [ARN]
    assert query["protocolVersion"] == ["2"]
    assert query["sendCredentials"] == ["true"]
    assert list(query) == sorted(query)
    assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA/")


def test_heartbeats_are_acknowledged() -> None:
    fixture = Fixture()
    heard: list[Any] = []

    async def talk(socket: ServerConnection) -> None:
        await socket.send(acs.encode(acs.HeartbeatMessage(message_id="h-1", healthy=True)))
        heard.append(acs.decode(await socket.recv()))
        await socket.wait_closed()

    run(fixture.go(talk, lambda: bool(heard)))
    assert heard == [acs.HeartbeatAckRequest(message_id="h-1")]


def test_payloads_and_manifests_become_events_and_answers_go_back() -> None:
    fixture = Fixture()
    heard: list[Any] = []

    async def talk(socket: ServerConnection) -> None:
        await socket.send(
            acs.encode(acs.PayloadMessage(cluster_arn="c", container_instance_arn=ARN, message_id="m-1", seq_num=3))
        )
        manifest = acs.TaskManifestMessage(
            message_id="f-1",
            cluster_arn="c",
            container_instance_arn=ARN,
            timeline=4,
            tasks=(
                acs.TaskIdentifier(task_arn="arn:task/a", task_cluster_arn="c", desired_status="RUNNING"),
                acs.TaskIdentifier(task_arn="arn:task/b", task_cluster_arn="c", desired_status="STOPPED"),
            ),
        )
        await socket.send('{"type":"SomethingNew","message":{}}')
        await socket.send("not even JSON")
        await socket.send(acs.encode(manifest))
        heard.append(acs.decode(await socket.recv()))
        heard.append(acs.decode(await socket.recv()))
        await socket.wait_closed()

    def answered() -> bool:
        if len(fixture.events) == 3 and not heard and not told:
            fixture.session.acknowledge("m-1")
            fixture.session.verify_stops("f-1", [("arn:task/x", "c")])
            told.append(True)
        return len(heard) == 2

    told: list[bool] = []
    run(fixture.go(talk, answered))
    assert fixture.events == [
        on.SessionOpened(),
        on.PayloadReceived(message_id="m-1", seq_num=3),
        on.ManifestReceived(message_id="f-1", timeline=4, running=("a",)),  # type: ignore[arg-type]  # an id is a str
    ]
    stray = acs.TaskIdentifier(task_arn="arn:task/x", task_cluster_arn="c", desired_status="STOPPED")
    assert heard == [
        acs.AckRequest(cluster="lab", container_instance=ARN, message_id="m-1"),
        acs.TaskStopVerificationMessage(message_id="f-1", stop_candidates=(stray,)),
    ]


def test_an_ended_connection_is_followed_by_another_without_asking_for_credentials_again() -> None:
    fixture = Fixture()

    async def talk(socket: ServerConnection) -> None:
        await socket.close(1001, "the server stops")

    run(fixture.go(talk, lambda: len(fixture.requests) >= 2))
    assert parse_qs(urlsplit(fixture.requests[1].path).query)["sendCredentials"] == ["false"]


def test_a_refused_handshake_is_tried_again() -> None:
    fixture = Fixture()
    fixture.refusals.append(Refusal("ServerException", "busy"))
    run(fixture.go(silence, lambda: bool(fixture.events)))
    assert len(fixture.requests) == 2


def test_an_unknown_instance_has_to_register_again() -> None:
    fixture = Fixture()
    fixture.refusals.append(Refusal("InvalidInstanceException", "There is no container instance"))
    with pytest.raises(Unregistered, match="There is no container instance"):
        run(fixture.go(silence, lambda: False))


def test_a_refusal_in_place_of_a_message_counts_when_the_connection_ends() -> None:
    fixture = Fixture()

    async def talk(socket: ServerConnection) -> None:
        await socket.send(Refusal("InvalidInstanceException", "gone").body().decode())
        await socket.close(1000)

    with pytest.raises(Unregistered, match="gone"):
        run(fixture.go(talk, lambda: False))
