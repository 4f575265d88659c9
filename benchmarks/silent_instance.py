"""A container instance with room for everything that runs nothing: it takes its payloads and keeps silent.

So RunTask can be called as fast as the server answers, with no container to start beside it. It speaks the published
agent protocol: registers, asks for its endpoint, holds the websocket open. The server counts it as connected.

    python -m benchmarks.silent_instance ENDPOINT KEY_ID SECRET CLUSTER     prints its ARN once it is connected
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final
from urllib.parse import urlencode

import boto3  # type: ignore[import-untyped]  # it ships no types
import websockets
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION: Final = "us-east-1"
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


async def hold(url: str, key: Credentials) -> None:
    """Open the websocket and read whatever comes."""
    request = AWSRequest("GET", url.replace("ws", "http", 1))
    SigV4Auth(key, "ecs", REGION).add_auth(request)
    async with websockets.connect(url, additional_headers=dict(request.headers), max_size=None) as socket:
        print("connected", flush=True)
        async for _ in socket:
            pass


def main() -> None:
    """The program."""
    endpoint, key_id, secret, cluster = sys.argv[1:]
    ecs = boto3.client(
        "ecs", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key_id, aws_secret_access_key=secret
    )
    arn = register(ecs, cluster)
    polled = ecs.discover_poll_endpoint(containerInstance=arn, cluster=cluster)["endpoint"]
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
    url = polled.replace("http", "ws", 1).rstrip("/") + f"/ws?{query}"
    asyncio.run(hold(url, Credentials(key_id, secret)))


if __name__ == "__main__":
    main()
