"""The registry's refusals: the codes of the OCI distribution specification, each with its status.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.base.errors import MoorageError
from moorage.wire.http import Response

API_VERSION: Final = ("Docker-Distribution-API-Version", "registry/2.0")

_STATUSES: Final = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "SIZE_INVALID": 400,
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "TOOMANYREQUESTS": 429,
    # Not of the specification, which allows further codes: the disk is full.
    "STORAGE_FULL": 507,
}


class RegistryError(MoorageError):
    """A request that is refused; nothing has been changed."""

    def __init__(
        self, code: str, message: str, *, status: int | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.code = code
        self.message = message
        self.status = _STATUSES[code] if status is None else status
        self.headers = tuple(headers)
        super().__init__(f"{code}: {message}")

    def response(self, *, head: bool = False) -> Response:
        """The answer; to HEAD without its body."""
        body = msgspec.json.encode({"errors": [{"code": self.code, "message": self.message, "detail": None}]})
        return Response(
            status=self.status,
            headers=(API_VERSION, ("Content-Type", "application/json"), *self.headers),
            body=b"" if head else body,
            length=len(body) if head else None,
        )
