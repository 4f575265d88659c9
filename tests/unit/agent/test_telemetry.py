"""The telemetry session against a real websocket: its handshake, its frames, its rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve

from moorage.agent.api import EcsApi, Endpoints
from moorage.agent.telemetry import Telemetry
from moorage.base.errors import Unavailable
from moorage.link import tcs
from moorage.wire.signer import Signer
from tests.unit.support import NOW_S, SeededDice

DEADLINE_S = 10.0
SIGNER = Signer(access_key_id="AKIDEXAMPLE", secret="secret", region="us-east-1", service="ecs")


class FixedClock:
    """It is always the same second."""

    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0


class Found(EcsApi):
    """An API that knows one thing: where telemetry goes, once it has been asked often enough."""

    def __init__(self, endpoint: str, failures: int = 0) -> None:
        self._endpoint = endpoint
        self.failures = failures

    async def discover(self, cluster: str, arn: str) -> Endpoints:
        assert (cluster, arn) == ("lab", "arn:i")
        if self.failures:
            self.failures -= 1
            raise Unavailable("not yet")
        return Endpoints(endpoint="http://unused", telemetry_endpoint=self._endpoint)


class Server:
    """What agents say, by connection."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.connections: list[ServerConnection] = []

    async def take(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        assert "authorization" in connection.request.headers
        self.paths.append(connection.request.path)
        self.connections.append(connection)
        async for text in connection:
            assert isinstance(text, str)
            self.frames.put_nowait(text)

    async def next_frame(self) -> str:
        return await asyncio.wait_for(self.frames.get(), DEADLINE_S)


def play(scene: Callable[[Server, Telemetry, list[str]], Awaitable[None]], failures: int = 0) -> None:
    """A session that publishes one health message a round, named after the round."""

    async def run() -> None:
        server, rounds = Server(), list[str]()

        def publish(cluster: str, instance: str) -> list[tcs.AgentMessage]:
            rounds.append(instance)
            metadata = tcs.PublishMetadata(cluster=cluster, message_id=f"round-{len(rounds)}")
            return [tcs.PublishHealthRequest(metadata=metadata)]

        async with serve(server.take, "127.0.0.1", 0) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            telemetry = Telemetry(
                ecs=Found(f"http://127.0.0.1:{port}/tcs", failures),
                signer=SIGNER,
                clock=FixedClock(),
                dice=SeededDice(),
                publishers=(publish,),
            )
            session = asyncio.create_task(telemetry.run("lab", "arn:i"))
            await scene(server, telemetry, rounds)
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)

    asyncio.run(run())


def test_a_round_goes_out_at_once_behind_a_block_of_signed_headers() -> None:
    async def scene(server: Server, _: Telemetry, __: list[str]) -> None:
        head, _, body = (await server.next_frame()).partition("\r\n\r\n")
        assert "Authorization: AWS4-HMAC-SHA256" in head
        message = tcs.decode(f"{head}\r\n\r\n{body}")
        assert isinstance(message, tcs.PublishHealthRequest)
        assert message.metadata.message_id == "round-1"
        assert server.paths[0].startswith("/tcs/ws?")
        assert "cluster=lab&containerInstance=arn%3Ai" in server.paths[0]

    play(scene)


def test_a_waking_brings_the_next_round_and_many_bring_one() -> None:
    async def scene(server: Server, telemetry: Telemetry, rounds: list[str]) -> None:
        await server.next_frame()
        for _ in range(5):
            telemetry.wake()
        assert "round-2" in await server.next_frame()
        assert len(rounds) == 2

    play(scene)


def test_a_broken_connection_is_made_again_and_tells_all_again() -> None:
    async def scene(server: Server, _: Telemetry, __: list[str]) -> None:
        await server.next_frame()
        await server.connections[0].close()
        assert "round-2" in await server.next_frame()
        assert len(server.paths) == 2

    play(scene)


def test_an_api_that_does_not_answer_is_asked_again() -> None:
    async def scene(server: Server, _: Telemetry, __: list[str]) -> None:
        assert "round-1" in await server.next_frame()

    play(scene, failures=1)
