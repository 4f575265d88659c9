"""The same server behind TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.unit.gateway.serving import run, serving

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    return cert, key


def test_requests_are_answered_over_tls(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    client_side = ssl.create_default_context(cafile=str(cert))

    async def test() -> None:
        async with serving(tls=server_side) as served, served.wire(client_side) as wire:
            wire.send("PUT /a HTTP/1.1\r\nHost: moor\r\nContent-Length: 500000\r\n\r\n" + "x" * 500_000)
            assert await wire.answer() == (200, b"PUT /a " + b"x" * 500_000)
            wire.send("GET /b HTTP/1.1\r\nHost: moor\r\nConnection: close\r\n\r\n")
            assert (await wire.rest()).endswith(b"GET /b ")

    run(test)


def test_plain_http_to_a_tls_port_ends_that_connection_alone(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    client_side = ssl.create_default_context(cafile=str(cert))

    async def test() -> None:
        async with serving(tls=server_side) as served:
            async with served.wire() as plain:
                plain.send("GET / HTTP/1.1\r\nHost: moor\r\n\r\n")
                await plain.is_cut()
            async with served.wire(client_side) as wire:
                wire.send("GET / HTTP/1.1\r\nHost: moor\r\n\r\n")
                assert (await wire.answer())[0] == 200

    run(test)
