"""A registry behind a real HTTP server, in a thread of its own, for as long as a test lasts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage.base.ids import AccessKeyId, AccountId
from moorage.dataplane.registry import Registry
from moorage.dataplane.registry_auth import basic
from moorage.gateway.http import HttpServer
from moorage.model.principal import AccessKey
from moorage.oci.auth import Credentials
from moorage.oci.client import RegistryClient
from moorage.wire.http import Handler, Request, Response

USER, SECRET = "AKIAEXAMPLE", "a-secret"
ROOT_KEY = AccessKey(
    id=AccessKeyId(USER), secret=SECRET, account=AccountId("123456789012"), kind="root", created_at=0.0
)
NODE_KEY = AccessKey(
    id=AccessKeyId("AKIANODE"), secret="other", account=AccountId("123456789012"), kind="node", created_at=0.0
)
STARTED_WITHIN_S = 20.0


def authenticate(request: Request) -> AccessKey | None:
    """The two keys of the tests."""
    return basic({ROOT_KEY.id: ROOT_KEY, NODE_KEY.id: NODE_KEY}.get)(request)


@contextmanager
def serving(handler: Handler) -> Iterator[str]:
    """The base URL of a server that answers with `handler`."""
    loop = asyncio.new_event_loop()
    server = HttpServer(handler, {}, wall_clock_s=lambda: 0.0, request_id=lambda: "test")
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        started = asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop)
        port = started.result(STARTED_WITHIN_S)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(server.close(1.0), loop).result(STARTED_WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def registry(root: Path, before: Callable[[Request], Response | None] | None = None) -> Iterator[str]:
    """The base URL of a registry over `root`; `before` may answer in its place."""
    served = Registry(root, authenticate)

    async def handle(request: Request) -> Response:
        instead = before(request) if before is not None else None
        return instead or await served.handle(request)

    with serving(handle) as url:
        yield url


@contextmanager
def client(url: str) -> Iterator[RegistryClient]:
    """A client that may do everything."""
    made = RegistryClient(url, Credentials(username=USER, password=SECRET), plain_http=True)
    try:
        yield made
    finally:
        made.close()
