"""References are read as Docker reads them."""

from __future__ import annotations

import pytest

from moorage.oci.errors import ImageReferenceError
from moorage.oci.reference import installation_repository, parse

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("ghcr.io/owner/app:v1", "ghcr.io/owner/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("10.0.0.1:5000/a/b/c:tag", "10.0.0.1:5000/a/b/c:tag"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest"),
        ("Registry/app", "Registry/app:latest"),
    ],
)
def test_defaults_are_filled_in(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize("text", ["busybox:latest", "user/app:1", "ghcr.io/a/b:2", f"busybox@{DIGEST}"])
def test_the_familiar_form_is_what_people_write(text: str) -> None:
    assert parse(text).familiar == text


@pytest.mark.parametrize(
    "text",
    [
        "", ":tag", "@" + DIGEST, "Busybox", "a//b", "/a", "a/", "a:", "a:b:c", "a:.dot", "a@sha256:12", "a@md5:00",
        "-a", "a_", "a..b", "a b", "a\n", "a/../b", "reg.io/", "reg.io:port/a", "http://reg.io/a", "a" * 256,
        "ab" * 32, "a:" + "t" * 129, "reg_x.io/app", "é",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ImageReferenceError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        ("busybox", "busybox"),
        ("user/app", "user/app"),
        ("127.0.0.1:8000/app", "app"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:1", "team/app"),
        ("ghcr.io/owner/app", "ghcr.io/owner/app"),
        ("reg.example:5000/app", "reg.example_5000/app"),
        ("[::1]:5000/app", "1_5000/app"),
    ],
)
def test_the_installation_keeps_every_image_under_a_valid_name(text: str, repository: str) -> None:
    assert installation_repository(parse(text), {"127.0.0.1:8000"}) == repository
    parse(f"host.example/{repository}")
