"""Container instances with room for everything that run nothing: they take their payloads and keep silent.

So RunTask can be called as fast as the server answers, with no container to start beside it. It speaks the published
agent protocol: registers, asks for its endpoint, holds the websocket open, acknowledges what comes.

    python -m benchmarks.silent_instances ENDPOINT KEY_ID SECRET CLUSTER     says so once all are connected
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final
from urllib.parse import urlencode

import boto3  # type: ignore[import-untyped]  # it ships no types
import websockets
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION: Final = "us-east-1"
INSTANCES: Final = 20  # a small cluster: tasks spread over it by chance
ROOM: Final = 2_000_000_000  # MiB and units: nobody runs out of it
ABILITIES: Final = tuple(f"com.amazonaws.ecs.capability.docker-remote-api.1.{minor}" for minor in range(17, 26))


def register(ecs: Any, cluster: str) -> str:
    """The new instance's ARN."""
    answer = ecs.register_container_instance(
        cluster=cluster,
        totalResources=[
            {"name": "CPU", "type": "INTEGER", "integerValue": ROOM},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": ROOM},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": []},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ],
        versionInfo={"agentVersion": "1.0.0", "agentHash": "silent", "dockerVersion": "none"},
        attributes=[{"name": name} for name in ABILITIES],
    )
    arn: str = answer["containerInstance"]["containerInstanceArn"]
    return arn


async def hold(url: str, key: Credentials, connected: asyncio.Event) -> None:
    """Open the websocket and take whatever comes, as an agent with nothing else to do."""
    request = AWSRequest("GET", url.replace("ws", "http", 1))
    SigV4Auth(key, "ecs", REGION).add_auth(request)
    async with websockets.connect(url, additional_headers=dict(request.headers), max_size=None) as socket:
        connected.set()
        async for text in socket:
            frame = json.loads(text)
            answer = answer_to(frame["type"], frame["message"])
            if answer is not None:
                await socket.send(json.dumps(answer))


def answer_to(kind: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """What the protocol wants to hear."""
    if kind == "HeartbeatMessage":
        return {"type": "HeartbeatAckRequest", "message": {"messageId": message["messageId"]}}
    if kind == "PayloadMessage":
        said = {
            "messageId": message["messageId"],
            "cluster": message["clusterArn"],
            "containerInstance": message["containerInstanceArn"],
        }
        return {"type": "AckRequest", "message": said}
    return None


async def hold_all(urls: list[str], key: Credentials) -> None:
    """All of them, until one ends; says on standard output when they stand."""
    async with asyncio.TaskGroup() as group:
        for url in urls:
            connected = asyncio.Event()
            group.create_task(hold(url, key, connected))
            await connected.wait()
        print("connected", flush=True)


def address(ecs: Any, cluster: str, arn: str) -> str:
    """Where an instance's session is."""
    polled: str = ecs.discover_poll_endpoint(containerInstance=arn, cluster=cluster)["endpoint"]
    query = urlencode(
        {
            "clusterArn": cluster,
            "containerInstanceArn": arn,
            "agentHash": "silent",
            "agentVersion": "1.0.0",
            "seqNum": "1",
            "protocolVersion": "2",
            "sendCredentials": "false",
        }
    )
    return polled.replace("http", "ws", 1).rstrip("/") + f"/ws?{query}"


def main() -> None:
    """The program."""
    endpoint, key_id, secret, cluster = sys.argv[1:]
    ecs = boto3.client(
        "ecs", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key_id, aws_secret_access_key=secret
    )
    urls = [address(ecs, cluster, register(ecs, cluster)) for _ in range(INSTANCES)]
    asyncio.run(hold_all(urls, Credentials(key_id, secret)))


if __name__ == "__main__":
    main()
