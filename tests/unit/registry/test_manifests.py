"""Manifests, tags, listings and referrers."""

from __future__ import annotations

import msgspec
import pytest

from moorage.dataplane.registry import Registry
from moorage.oci.digest import digest_of, sha256
from moorage.oci.manifest import MANIFEST_MAX_BYTES, OCI_INDEX, OCI_MANIFEST, Index
from tests.unit.registry.calls import Answer, call, push_blob

EMPTY = b"{}"
CONFIG = {"mediaType": "application/vnd.example.config", "digest": sha256(EMPTY), "size": 2}

ABSENT = {**CONFIG, "digest": sha256(b"absent")}


def _manifest(**more: object) -> bytes:
    parts = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [], **more}
    # Spaces that a re-encoding would lose.
    return msgspec.json.format(msgspec.json.encode(parts), indent=3)


async def _put(registry: Registry, target: str, raw: bytes, media_type: str = OCI_MANIFEST) -> Answer:
    await push_blob(registry, "app", EMPTY, sha256(EMPTY))
    return await call(registry, "PUT", f"/v2/app/manifests/{target}", raw, {"content-type": media_type})


def _code(answer: Answer) -> str:
    return answer.body.decode().partition('"code":"')[2].partition('"')[0]


async def _tags(registry: Registry, query: str = "") -> list[str]:
    answer = await call(registry, "GET", f"/v2/app/tags/list{query}")
    found: list[str] = msgspec.json.decode(answer.body)["tags"]
    return found


async def test_a_manifest_comes_back_byte_for_byte(registry: Registry) -> None:
    raw = _manifest()
    answer = await _put(registry, "v1", raw)
    assert (answer.status, answer.header("docker-content-digest")) == (201, sha256(raw))
    assert answer.header("location") == f"/v2/app/manifests/{sha256(raw)}"
    for target in ("v1", sha256(raw), sha256(raw).replace(":", "%3A")):
        got = await call(registry, "GET", f"/v2/app/manifests/{target}")
        assert (got.body, got.header("content-type")) == (raw, OCI_MANIFEST)
        head = await call(registry, "HEAD", f"/v2/app/manifests/{target}")
        assert (head.length, head.body, head.header("docker-content-digest")) == (len(raw), b"", sha256(raw))


async def test_a_tag_moves_to_the_newest_manifest(registry: Registry) -> None:
    for note in ("old", "new"):
        await _put(registry, "v1", _manifest(annotations={"note": note}))
    assert b"new" in (await call(registry, "GET", "/v2/app/manifests/v1")).body


async def test_a_manifest_by_digest_may_set_tags(registry: Registry) -> None:
    raw = _manifest()
    answer = await _put(registry, f"{sha256(raw)}?tag=a&tag=b", raw)
    assert (answer.status, answer.all_headers("OCI-Tag")) == (201, ["a", "b"])
    assert await _tags(registry) == ["a", "b"]
    strong = digest_of(raw, "sha512")
    assert (await _put(registry, strong, raw)).status == 201
    assert (await call(registry, "GET", f"/v2/app/manifests/{strong}")).body == raw


@pytest.mark.parametrize(
    ("target", "raw", "media_type", "refusal"),
    [
        (sha256(b"other"), _manifest(), OCI_MANIFEST, (400, "DIGEST_INVALID")),
        ("sha256:12", _manifest(), OCI_MANIFEST, (400, "DIGEST_INVALID")),
        (".v1", _manifest(), OCI_MANIFEST, (400, "MANIFEST_INVALID")),
        ("v1", b"no json", OCI_MANIFEST, (400, "MANIFEST_INVALID")),
        ("v1", b"\xff\xfe", OCI_MANIFEST, (400, "MANIFEST_INVALID")),
        ("v1", _manifest(), OCI_INDEX, (400, "MANIFEST_INVALID")),
        ("v1", _manifest(manifests=[]), OCI_MANIFEST, (400, "MANIFEST_INVALID")),
        ("v1", _manifest(layers=[ABSENT]), OCI_MANIFEST, (404, "MANIFEST_BLOB_UNKNOWN")),
        ("v1", _manifest(layers=[{**CONFIG, "digest": "../../x"}]), OCI_MANIFEST, (400, "MANIFEST_INVALID")),
    ],
)  # fmt: skip
async def test_a_manifest_that_cannot_be_is_refused(
    registry: Registry, target: str, raw: bytes, media_type: str, refusal: tuple[int, str]
) -> None:
    answer = await _put(registry, target, raw, media_type)
    assert (answer.status, _code(answer)) == refusal
    assert await _tags(registry) == []


async def test_four_mebibytes_are_taken_and_no_more(registry: Registry) -> None:
    raw = _manifest()
    large = raw + b" " * (MANIFEST_MAX_BYTES - len(raw))
    assert (await _put(registry, "large", large)).status == 201
    answer = await _put(registry, "larger", large + b" ")
    assert (answer.status, _code(answer)) == (413, "SIZE_INVALID")


async def test_layers_from_elsewhere_need_not_be_here(registry: Registry) -> None:
    foreign = {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "size": 1}
    raw = _manifest(layers=[{**foreign, "digest": sha256(b"absent")}])
    assert (await _put(registry, "v1", raw)).status == 201


async def test_an_index_needs_its_manifests(registry: Registry) -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": sha256(_manifest()), "size": len(_manifest())}
    index = msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    assert _code(await _put(registry, "v1", index, OCI_INDEX)) == "MANIFEST_BLOB_UNKNOWN"
    await _put(registry, sha256(_manifest()), _manifest())
    assert (await _put(registry, "v1", index, OCI_INDEX)).status == 201


async def test_deleting_a_tag_leaves_the_manifest_and_deleting_that_takes_its_tags(registry: Registry) -> None:
    for tag in ("a", "b", "c"):
        await _put(registry, tag, _manifest())
    assert (await call(registry, "DELETE", "/v2/app/manifests/a")).status == 202
    assert await _tags(registry) == ["b", "c"]
    digest = sha256(_manifest())
    assert (await call(registry, "DELETE", f"/v2/app/manifests/{digest}")).status == 202
    assert await _tags(registry) == []
    for target in ("a", "b", digest):
        assert _code(await call(registry, "GET", f"/v2/app/manifests/{target}")) == "MANIFEST_UNKNOWN"
        assert (await call(registry, "DELETE", f"/v2/app/manifests/{target}")).status == 404


async def test_tags_are_listed_in_order_page_by_page(registry: Registry) -> None:
    for tag in ("b", "A", "a", "_", "c"):
        await _put(registry, tag, _manifest())
    assert await _tags(registry) == ["A", "_", "a", "b", "c"]
    answer = await call(registry, "GET", "/v2/app/tags/list?n=2")
    assert answer.header("link") == '</v2/app/tags/list?n=2&last=_>; rel="next"'
    assert await _tags(registry, "?n=2&last=_") == ["a", "b"]
    last = await call(registry, "GET", "/v2/app/tags/list?n=1&last=b")
    assert (msgspec.json.decode(last.body)["tags"], last.header("link")) == (["c"], "")
    none = await call(registry, "GET", "/v2/app/tags/list?n=0")
    assert (msgspec.json.decode(none.body)["tags"], none.header("link")) == ([], "")
    assert (await call(registry, "GET", "/v2/app/tags/list?n=x")).status == 400
    assert _code(await call(registry, "GET", "/v2/none/tags/list")) == "NAME_UNKNOWN"


async def test_repositories_are_listed_nested_ones_too(registry: Registry) -> None:
    for name in ("b", "a/b/c", "a"):
        await push_blob(registry, name, EMPTY, sha256(EMPTY))
        await call(registry, "PUT", f"/v2/{name}/manifests/v1", _manifest(), {"content-type": OCI_MANIFEST})
    answer = await call(registry, "GET", "/v2/_catalog")
    assert msgspec.json.decode(answer.body)["repositories"] == ["a", "a/b/c", "b"]
    answer = await call(registry, "GET", "/v2/_catalog?n=1001")
    assert _code(answer) == "UNSUPPORTED"


async def test_referrers_are_found_by_their_subject(registry: Registry) -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": sha256(b"not here yet"), "size": 3}
    raw = _manifest(subject=subject, annotations={"a": "b"})
    answer = await _put(registry, sha256(raw), raw)
    assert answer.header("oci-subject") == subject["digest"]
    other = _manifest(subject=subject, artifactType="application/other")
    await _put(registry, "other", other)
    url = f"/v2/app/referrers/{subject['digest']}"
    answer = await call(registry, "GET", url)
    assert (answer.status, answer.header("content-type")) == (200, OCI_INDEX)
    found = {each.digest: each for each in msgspec.json.decode(answer.body, type=Index).manifests}
    assert found[sha256(raw)].artifact_type == CONFIG["mediaType"]
    assert found[sha256(raw)].annotations == {"a": "b"}
    assert found[sha256(other)].artifact_type == "application/other"
    filtered = await call(registry, "GET", f"{url}?artifactType=application/other")
    assert filtered.header("oci-filters-applied") == "artifactType"
    assert [each.digest for each in msgspec.json.decode(filtered.body, type=Index).manifests] == [sha256(other)]
    await call(registry, "DELETE", f"/v2/app/manifests/{sha256(other)}")
    await call(registry, "DELETE", f"/v2/app/manifests/{sha256(raw)}")
    assert msgspec.json.decode((await call(registry, "GET", url)).body)["manifests"] == []


async def test_referrers_of_nothing_are_none_and_of_no_digest_an_error(registry: Registry) -> None:
    answer = await call(registry, "GET", f"/v2/none/referrers/{sha256(b'x')}")
    assert (answer.status, msgspec.json.decode(answer.body)["manifests"]) == (200, [])
    assert (await call(registry, "GET", "/v2/app/referrers/sha256:12")).status == 400


async def test_referrers_kept_under_the_tag_of_old_are_shown(registry: Registry) -> None:
    await _put(registry, sha256(_manifest()), _manifest())
    entry = {"mediaType": OCI_MANIFEST, "digest": sha256(_manifest()), "size": len(_manifest())}
    index = msgspec.json.encode({"schemaVersion": 2, "manifests": [entry]})
    subject = sha256(b"subject")
    await _put(registry, subject.replace(":", "-"), index, OCI_INDEX)
    answer = await call(registry, "GET", f"/v2/app/referrers/{subject}")
    assert [each.digest for each in msgspec.json.decode(answer.body, type=Index).manifests] == [entry["digest"]]
