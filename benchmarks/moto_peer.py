"""moto's server as a peer: the AWS services as a mock, in memory, without containers, signatures or durability."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]  # it ships no types

from benchmarks.signing import Key, Signer

REGION: Final = "us-east-1"
PATIENCE_S: Final = 60.0
KEY: Final = Key("AKIDMOTO", "moto")


class Moto:
    """A running moto_server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def signer(self) -> Signer:
        return Signer(KEY, REGION, "ecs", f"127.0.0.1:{self.port}")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=KEY.id,
            aws_secret_access_key=KEY.secret,
        )


@contextlib.contextmanager
def running() -> Iterator[Moto]:
    """moto's server for as long as the block runs."""
    program = Path(sys.executable).parent / "moto_server"
    if not program.exists():
        raise FileNotFoundError("moto is not installed: pip install -e '.[bench]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    silent = subprocess.DEVNULL  # it writes a line for every request
    process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=silent, stderr=silent)
    try:
        moto = Moto(process, port)
        wait_for_answer(moto)
        yield moto
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_for_answer(moto: Moto) -> None:
    """Return once it listens."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", moto.port)).close()
            return
        except OSError:
            if moto.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("moto_server does not answer") from None
            time.sleep(0.005)
