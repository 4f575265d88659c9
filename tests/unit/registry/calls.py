"""Requests to a registry's handler, without a server in between."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from moorage.dataplane.registry import Registry
from moorage.wire.http import BodyTooLarge, Request, Response, header
from tests.unit.registry.served import SECRET, USER

BASIC = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()


class Body:
    """A request's body in memory; with `cut`, the client leaves after the last piece."""

    def __init__(self, *pieces: bytes, cut: bool = False) -> None:
        self._pieces = pieces
        self._cut = cut

    async def read(self, limit_bytes: int) -> bytes:
        data = b"".join([piece async for piece in self.chunks()])
        if len(data) > limit_bytes:
            raise BodyTooLarge(f"more than {limit_bytes} bytes")
        return data

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._cut:
            raise ConnectionError("the client left")


class Answer:
    """A response with its body read."""

    def __init__(self, response: Response, body: bytes) -> None:
        self.status = response.status
        self.length = response.length
        self.body = body
        self._headers = response.headers

    def header(self, name: str) -> str:
        return header(self._headers, name.lower()) or ""

    def all_headers(self, name: str) -> list[str]:
        return [value for key, value in self._headers if key == name]


async def call(
    registry: Registry,
    method: str,
    target: str,
    body: Body | bytes = b"",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request, by a user who may do everything."""
    path, _, query = target.partition("?")
    request = Request(
        method=method,
        path=path,
        query=query,
        headers={"authorization": BASIC, **(headers or {})},
        peer="127.0.0.1",
        body=body if isinstance(body, Body) else Body(body),
    )
    response = await registry.handle(request)
    if isinstance(response.body, bytes):
        return Answer(response, response.body)
    return Answer(response, b"".join([piece async for piece in response.body]))


async def push_blob(registry: Registry, repository: str, data: bytes, digest: str) -> Answer:
    """A blob in one request."""
    return await call(registry, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
