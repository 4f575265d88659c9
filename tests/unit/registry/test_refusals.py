"""Who is let in, and what is answered to requests that mean nothing."""

from __future__ import annotations

import pytest

from moorage.dataplane.registry import Registry
from moorage.oci.digest import sha256
from tests.unit.registry.calls import Answer, call


def _code(answer: Answer) -> str:
    return answer.body.decode().partition('"code":"')[2].partition('"')[0]


@pytest.mark.parametrize(
    "given", ["", "Basic", "Basic !!!", "Basic QUtJQTp4", "Basic QUtJQUVYQU1QTEU6", "Bearer x", "Basic bm9jb2xvbg=="]
)
async def test_without_a_valid_key_everything_is_refused(registry: Registry, given: str) -> None:
    for path in ("/v2/", "/v2/_catalog", "/v2/app/tags/list", f"/v2/app/blobs/{sha256(b'')}", "/v2/?x=y"):
        answer = await call(registry, "GET", path, headers={"authorization": given})
        assert (answer.status, _code(answer)) == (401, "UNAUTHORIZED")
        assert answer.header("www-authenticate") == 'Basic realm="moorage"'


async def test_the_base_tells_that_the_registry_is_there(registry: Registry) -> None:
    for path in ("/v2/", "/v2"):
        answer = await call(registry, "GET", path)
        assert (answer.status, answer.header("docker-distribution-api-version")) == (200, "registry/2.0")


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/v2/UPPER/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/../../etc/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/a%2F..%2F..%2Fetc/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/_uploads/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/" + "a" * 256 + "/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/app/blobs/sha256:..%2F..%2Fx", (404, "UNSUPPORTED")),
        ("GET", "/v2/app/blobs/..", (400, "DIGEST_INVALID")),
        ("GET", f"/v2/app/blobs/{sha256(b'absent')}", (404, "BLOB_UNKNOWN")),
        ("GET", "/v2/app/manifests/absent", (404, "MANIFEST_UNKNOWN")),
        ("GET", "/v2/app/manifests/..", (400, "MANIFEST_INVALID")),
        ("PATCH", "/v2/app/blobs/uploads/..", (404, "BLOB_UPLOAD_UNKNOWN")),
        ("GET", "/v2/app", (404, "UNSUPPORTED")),
        ("POST", "/v2/app/manifests/v1", (405, "UNSUPPORTED")),
        ("PUT", "/v2/", (405, "UNSUPPORTED")),
        ("GET", "/v2/_catalog?" + "&".join("a=b" for _ in range(100)), (405, "UNSUPPORTED")),
        ("POST", "/v2/app/blobs/uploads/?digest-algorithm=md5", (400, "UNSUPPORTED")),
    ],
)
async def test_what_means_nothing_is_refused_in_the_specifications_words(
    registry: Registry, method: str, path: str, refusal: tuple[int, str]
) -> None:
    answer = await call(registry, method, path)
    assert (answer.status, _code(answer)) == refusal


async def test_a_refusal_to_head_has_no_body(registry: Registry) -> None:
    answer = await call(registry, "HEAD", f"/v2/app/blobs/{sha256(b'absent')}")
    assert (answer.status, answer.body) == (404, b"")


async def test_a_repository_may_be_called_like_a_part_of_a_path(registry: Registry) -> None:
    for name in ("blobs", "a/blobs/b", "manifests/uploads"):
        answer = await call(registry, "POST", f"/v2/{name}/blobs/uploads/?digest={sha256(b'x')}", b"x")
        assert answer.status == 201
        assert (await call(registry, "GET", f"/v2/{name}/blobs/{sha256(b'x')}")).body == b"x"
