"""The client against a real registry, and against registries that behave badly."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.oci.auth import Credentials, challenges
from moorage.oci.client import RegistryClient
from moorage.oci.digest import sha256
from moorage.oci.errors import ImageCorrupt, ImageDenied, ImageNotFound, RegistryUnavailable
from moorage.oci.manifest import Descriptor, host_platform
from moorage.oci.streams import BytesReader, read_all
from moorage.oci.transfer import Progress, push
from moorage.oci.transport import RETRY_PAUSES_S
from moorage.wire.http import Request, Response
from tests.unit.oci.images import file, image, tar
from tests.unit.registry.served import SECRET, USER, client, registry, serving

HOST = host_platform()
LAYER = tar([file("big", bytes(range(256)) * 8000)])
BLOB = bytes(range(256)) * 10_000
DESCRIBED = Descriptor(digest=sha256(BLOB), size=len(BLOB))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path / "registry") as served:
        yield served


@pytest.mark.parametrize("compress", [True, False])
def test_a_pushed_image_is_pulled_unchanged(url: str, compress: bool) -> None:
    source = image(LAYER, tar([file("more", b"x")]), compress=compress)
    told: list[Progress] = []
    with client(url) as to:
        assert push(source, to, "team/app", "v1", told.append) == source.digest
        assert to.resolve("team/app", "v1") == source.digest
        pulled = to.image("team/app", "v1", HOST)
        assert pulled.manifest_bytes == source.manifest_bytes
        for blob in source.manifest.layers:
            expected = read_all(source.open_blob(blob), 1 << 30, "")
            assert read_all(pulled.open_blob(blob), 1 << 30, "") == expected
        assert (to.tags("team/app"), to.catalog()) == (["v1"], ["team/app"])
    assert {each.digest for each in told if each.done_bytes == each.total_bytes} == {
        source.manifest.config.digest,
        *(each.digest for each in source.manifest.layers),
    }


def test_a_blob_that_is_there_is_not_sent_again(url: str) -> None:
    told: list[Progress] = []
    with client(url) as to:
        push(image(LAYER), to, "app", "v1")
        push(image(LAYER), to, "app", "v2", told.append)
        assert to.tags("app") == ["v1", "v2"]
    assert all(each.done_bytes == each.total_bytes for each in told)


def test_a_deleted_manifest_is_gone_with_its_tags(url: str) -> None:
    with client(url) as to:
        digest = push(image(LAYER), to, "app", "v1")
        to.delete_manifest("app", digest)
        assert to.tags("app") == []
        with pytest.raises(ImageNotFound, match="MANIFEST_UNKNOWN"):
            to.manifest("app", "v1")


def test_wrong_credentials_and_none_are_denied(url: str) -> None:
    for credentials in (None, Credentials(username=USER, password="wrong")):
        with pytest.raises(ImageDenied):
            RegistryClient(url, credentials, plain_http=True).tags("app")


def test_a_node_may_pull_and_not_push(url: str) -> None:
    with client(url) as to:
        push(image(LAYER), to, "app", "v1")
    node = RegistryClient(url, Credentials(username="AKIANODE", password="other"), plain_http=True)
    assert node.tags("app") == ["v1"]
    with pytest.raises(ImageDenied, match="pull images only"):
        push(image(tar([file("other")])), node, "app", "v2")
    node.close()


def test_a_bearer_token_is_fetched_from_its_realm_with_the_scope() -> None:
    asked: list[str] = []

    async def handle(request: Request) -> Response:
        if request.path == "/token":
            asked.append(f"{request.query} {request.headers['authorization']}")
            return Response(body=b'{"token":"t0ken"}')
        if request.headers.get("authorization") != "Bearer t0ken":
            realm = f'Bearer realm="http://{request.headers["host"]}/token",service="reg"'
            return Response(status=401, headers=(("WWW-Authenticate", realm),))
        return Response(body=b'{"tags":["v1"]}')

    with serving(handle) as url:
        to = RegistryClient(url, Credentials(username=USER, password=SECRET), plain_http=True)
        assert to.tags("app") == to.tags("app") == ["v1"]
        to.close()
    basic = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
    assert asked == [f"service=reg&scope=repository%3Aapp%3Apull Basic {basic}"]


def test_challenges_are_read_whatever_their_order() -> None:
    found = challenges('Basic realm="a b", Bearer realm="https://x/t",service="s",scope="repository:a:pull"')
    assert [(each.scheme, each.realm, each.service) for each in found] == [
        ("bearer", "https://x/t", "s"),
        ("basic", "a b", ""),
    ]
    assert challenges("") == challenges("Negotiate") == []


def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    seen: list[str | None] = []

    async def storage(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return Response(body=BLOB)

    with serving(storage) as elsewhere:

        async def handle(request: Request) -> Response:
            if "authorization" not in request.headers:
                return Response(status=401, headers=(("WWW-Authenticate", 'Basic realm="r"'),))
            return Response(status=307, headers=(("Location", f"{elsewhere}/blob"),))

        with serving(handle) as url:
            to = RegistryClient(url, Credentials(username=USER, password=SECRET), plain_http=True)
            assert read_all(to.open_blob("app", DESCRIBED), 1 << 30, "") == BLOB
            to.close()
    assert seen == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(ranges: bool) -> None:
    starts: list[int] = []

    async def cut(start: int, end: int) -> AsyncIterator[bytes]:
        yield BLOB[start:end]
        await asyncio.sleep(0)
        if end < len(BLOB):
            raise ConnectionError("cut")

    async def handle(request: Request) -> Response:
        asked = request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        start = int(asked) if ranges else 0
        starts.append(int(asked))
        end = min(len(BLOB), int(asked) + 1_000_000)
        told = (("Content-Range", f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"),) if ranges and start else ()
        return Response(status=206 if told else 200, headers=told, body=cut(start, end), length=len(BLOB) - start)

    with serving(handle) as url:
        to = RegistryClient(url, plain_http=True)
        assert read_all(to.open_blob("app", DESCRIBED), 1 << 30, "") == BLOB
        to.close()
    assert starts[0] == 0
    assert len(starts) > 2
    assert starts == sorted(set(starts))


def test_a_blob_with_other_bytes_is_refused() -> None:
    async def handle(_request: Request) -> Response:
        return Response(body=BLOB[:-1] + b"!")

    with serving(handle) as url:
        to = RegistryClient(url, plain_http=True)
        with pytest.raises(ImageCorrupt, match="expected digest"):
            read_all(to.open_blob("app", DESCRIBED), 1 << 30, "")
        to.close()


def test_a_manifest_with_other_bytes_than_its_digest_is_refused() -> None:
    async def handle(_request: Request) -> Response:
        return Response(body=b"{}")

    with serving(handle) as url:
        to = RegistryClient(url, plain_http=True)
        with pytest.raises(ImageCorrupt, match="expected digest"):
            to.manifest("app", DESCRIBED.digest)
        to.close()


def test_a_failing_registry_is_asked_again_and_then_reported() -> None:
    statuses = [503, 500, 200]
    pauses: list[float] = []

    async def handle(_request: Request) -> Response:
        return Response(status=statuses.pop(0), body=b'{"tags":["v1"]}')

    with serving(handle) as url:
        to = RegistryClient(url, plain_http=True, pause=pauses.append)
        assert to.tags("app") == ["v1"]
        statuses.extend([503] * 3)
        with pytest.raises(RegistryUnavailable, match="status 503"):
            to.tags("app")
        to.close()
    assert pauses == [*RETRY_PAUSES_S] * 2


def test_a_listing_that_leads_in_circles_is_given_up() -> None:
    async def handle(_request: Request) -> Response:
        return Response(body=b'{"tags":["v1"]}', headers=(("Link", '</v2/app/tags/list>; rel="next"'),))

    with serving(handle) as url:
        to = RegistryClient(url, plain_http=True)
        with pytest.raises(RegistryUnavailable, match="pages"):
            to.tags("app")
        to.close()


def test_plain_http_is_used_only_where_asked_for_and_near() -> None:
    with pytest.raises(ImageDenied, match="only https"):
        RegistryClient("http://127.0.0.1:1").tags("app")
    with pytest.raises(ImageDenied, match="loopback and private"):
        RegistryClient("http://8.8.8.8:1", plain_http=True).tags("app")


def test_a_registry_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(RegistryUnavailable, match="Connection refused"):
        RegistryClient("http://127.0.0.1:1", plain_http=True).tags("app")


def test_an_upload_is_refused_with_the_registrys_own_words(url: str) -> None:
    with client(url) as to, pytest.raises(Exception, match="DIGEST_INVALID"):
        to.push_blob("app", Descriptor(digest=sha256(b"other"), size=len(BLOB)), BytesReader(BLOB))
