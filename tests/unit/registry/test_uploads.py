"""Uploads in every style the specification knows, honest and not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moorage.dataplane.registry import Registry
from moorage.oci.digest import digest_of, sha256
from tests.unit.registry.calls import Answer, Body, call, push_blob
from tests.unit.registry.served import authenticate

DATA = bytes(range(256)) * 9000  # more than one piece of disk
DIGEST = sha256(DATA)
BLOB = f"/v2/app/blobs/{DIGEST}"
STEP = 700_000


async def _begin(registry: Registry) -> str:
    answer = await call(registry, "POST", "/v2/app/blobs/uploads/")
    assert (answer.status, answer.header("range")) == (202, "0-0")
    return answer.header("location")


async def _has(registry: Registry, digest: str = DIGEST) -> bool:
    return (await call(registry, "HEAD", f"/v2/app/blobs/{digest}")).status == 200


def _code(answer: Answer) -> str:
    return answer.body.decode().partition('"code":"')[2].partition('"')[0]


def _files(tmp_path: Path) -> list[str]:
    return sorted(each.name for each in (tmp_path / "registry").rglob("*") if each.is_file())


async def test_a_blob_arrives_in_one_request(registry: Registry) -> None:
    answer = await push_blob(registry, "app", DATA, DIGEST)
    assert (answer.status, answer.header("location")) == (201, BLOB)
    assert (await call(registry, "GET", BLOB)).body == DATA


async def test_a_blob_arrives_by_post_and_put(registry: Registry) -> None:
    location = await _begin(registry)
    answer = await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA)
    assert (answer.status, answer.header("docker-content-digest")) == (201, DIGEST)
    assert await _has(registry)


async def test_a_blob_arrives_in_chunks_that_tell_their_range(registry: Registry) -> None:
    location = await _begin(registry)
    for start in range(0, len(DATA), STEP):
        piece = DATA[start : start + STEP]
        told = {"content-range": f"{start}-{start + len(piece) - 1}"}
        answer = await call(registry, "PATCH", location, piece, told)
        assert (answer.status, answer.header("range")) == (202, f"0-{start + len(piece) - 1}")
        status = await call(registry, "GET", location)
        assert (status.status, status.header("range")) == (204, answer.header("range"))
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}")).status == 201
    assert (await call(registry, "GET", BLOB)).body == DATA


async def test_a_blob_streams_in_without_a_range_as_docker_sends_it(registry: Registry) -> None:
    location = await _begin(registry)
    pieces = Body(*(DATA[at : at + 65536] for at in range(0, len(DATA), 65536)))
    assert (await call(registry, "PATCH", location, pieces)).status == 202
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}")).status == 201
    assert (await call(registry, "GET", BLOB)).body == DATA


async def test_a_chunk_out_of_order_is_refused_and_changes_nothing(registry: Registry) -> None:
    location = await _begin(registry)
    await call(registry, "PATCH", location, DATA[:1000], {"content-range": "0-999"})
    for told in ("0-999", "999-1998", "1001-2000", "5-3"):
        answer = await call(registry, "PATCH", location, DATA[:1000], {"content-range": told})
        assert (answer.status, answer.header("range")) == (416, "0-999")
    answer = await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA[1000:], {"content-range": "1000-9"})
    assert answer.status == 416
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA[1000:])).status == 201


async def test_a_chunk_of_another_length_than_told_is_taken_back(registry: Registry) -> None:
    location = await _begin(registry)
    answer = await call(registry, "PATCH", location, DATA[:10], {"content-range": "0-99"})
    assert (answer.status, _code(answer)) == (400, "SIZE_INVALID")
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA)).status == 201


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_wrong_digest_leaves_nothing(registry: Registry, tmp_path: Path, algorithm: str) -> None:
    wrong = digest_of(b"other", algorithm)
    answers = [await push_blob(registry, "app", DATA, wrong)]
    location = await _begin(registry)
    answers.append(await call(registry, "PUT", f"{location}?digest={wrong}", DATA))
    location = await _begin(registry)
    await call(registry, "PATCH", location, DATA)
    answers.append(await call(registry, "PUT", f"{location}?digest={wrong}"))
    assert [(each.status, _code(each)) for each in answers] == [(400, "DIGEST_INVALID")] * 3
    assert _files(tmp_path) == []


async def test_what_is_no_digest_is_refused_and_the_upload_goes_on(registry: Registry) -> None:
    location = await _begin(registry)
    for bad in ("", "sha256:12", "md5:00", "../../x"):
        answer = await call(registry, "PUT", f"{location}?digest={bad}", b"x")
        assert (answer.status, _code(answer)) == (400, "DIGEST_INVALID")
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA)).status == 201


async def test_a_sha512_blob_and_an_empty_one_are_kept(registry: Registry) -> None:
    strong = digest_of(DATA, "sha512")
    location = (await call(registry, "POST", "/v2/app/blobs/uploads/?digest-algorithm=sha512")).header("location")
    assert (await call(registry, "PUT", f"{location}?digest={strong}", DATA)).status == 201
    assert await _has(registry, strong)
    assert (await push_blob(registry, "app", b"", sha256(b""))).status == 201
    assert (await call(registry, "GET", f"/v2/app/blobs/{sha256(b'')}")).body == b""


@pytest.mark.parametrize("cut_at", [0, 1, 65_536, 1_048_575, 1_048_576, 1_048_577, len(DATA) - 1])
async def test_an_upload_cut_anywhere_can_go_on(registry: Registry, cut_at: int) -> None:
    location = await _begin(registry)
    with pytest.raises(ConnectionError):
        await call(registry, "PATCH", location, Body(DATA[:cut_at], cut=True))
    assert not await _has(registry)
    told = (await call(registry, "GET", location)).header("range")
    assert told == f"0-{max(cut_at - 1, 0)}"
    answer = await call(registry, "PUT", f"{location}?digest={DIGEST}", DATA[cut_at:])
    assert answer.status == 201
    assert (await call(registry, "GET", BLOB)).body == DATA


async def test_a_single_request_that_is_cut_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    body = Body(DATA[:1_500_000], cut=True)
    with pytest.raises(ConnectionError):
        await call(registry, "POST", f"/v2/app/blobs/uploads/?digest={DIGEST}", body)
    assert _files(tmp_path) == []


async def test_an_upload_survives_a_restart(registry: Registry, tmp_path: Path) -> None:
    location = await _begin(registry)
    await call(registry, "PATCH", location, DATA[:STEP])
    again = Registry(tmp_path / "registry", authenticate)
    assert (await call(again, "GET", location)).header("range") == f"0-{STEP - 1}"
    assert (await call(again, "PUT", f"{location}?digest={DIGEST}", DATA[STEP:])).status == 201
    assert (await call(again, "GET", BLOB)).body == DATA


async def test_two_requests_do_not_mix_their_bytes(registry: Registry) -> None:
    location = await _begin(registry)
    answers = await asyncio.gather(*(call(registry, "PATCH", location, DATA) for _ in range(2)))
    assert sorted(each.status for each in answers) == [202, 409]
    assert (await call(registry, "PUT", f"{location}?digest={DIGEST}")).status == 201


async def test_a_cancelled_upload_is_unknown(registry: Registry, tmp_path: Path) -> None:
    location = await _begin(registry)
    assert (await call(registry, "DELETE", location)).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        answer = await call(registry, method, location)
        assert (answer.status, _code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert _files(tmp_path) == []


async def test_an_upload_belongs_to_its_repository(registry: Registry) -> None:
    location = await _begin(registry)
    answer = await call(registry, "GET", location.replace("/app/", "/other/"))
    assert answer.status == 404


async def test_forgotten_uploads_are_swept(registry: Registry, tmp_path: Path) -> None:
    location = await _begin(registry)
    await registry.sweep(0.0)
    assert (await call(registry, "GET", location)).status == 204
    await registry.sweep(1e12)
    assert (await call(registry, "GET", location)).status == 404
    assert _files(tmp_path) == []
