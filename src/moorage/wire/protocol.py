"""The face that every AWS protocol shows to the gateway: three functions and the name of its family.

json and query and ec2 stand beside each other as modules of this package; another protocol is one more module
with a class of this face, and a line in `dispatch.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from moorage.base.errors import Refused
from moorage.wire.http import Request, Response
from moorage.wire.service import Operation
from moorage.wire.shapes import Input

Family = Literal["json", "query", "ec2"]
"""Whose error codes and sentences a protocol speaks: JSON's `…Exception`, query's and ec2's own."""

Output = msgspec.Struct | Mapping[str, object]
"""What an operation returns: wire names, timestamps as seconds since the epoch; None and UNSET are left out."""


class Codec(Protocol):
    """One protocol: bytes to a parsed request, an output to an answer, a refusal to an answer."""

    @property
    def family(self) -> Family: ...

    def parse(self, operation: Operation, request: Request, body: bytes) -> Input:
        """The request's members, typed by the model, unknown ones dropped; raises `Refused`."""
        ...

    def answer(self, operation: Operation, output: Output | None, request_id: str) -> Response:
        """The answer of an operation that succeeded."""
        ...

    def refuse(self, error: Refused, request_id: str, operation: Operation | None = None) -> Response:
        """The answer of one that did not; the model's status for the code wins over the error's own."""
        ...


def status_of(error: Refused, operation: Operation | None) -> int:
    """The HTTP status of a refusal."""
    if operation is None:
        return error.status
    return operation.statuses.get(error.code, error.status)
