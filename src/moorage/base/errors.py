"""Three kinds of failure, one tree.

    MoorageError
    ├── Refused       the caller's fault: carries the AWS code and sentence, answered 4xx
    └── Unavailable   the world's fault: retried within a bound, then reported

A broken invariant is ours: it is an AssertionError and stops the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class MoorageError(Exception):
    """Base of every failure that Moorage foresees."""


class Refused(MoorageError):
    """The caller asked for something that cannot be; nothing was changed.

    `code` is the AWS error code the client matches on; `status` is the HTTP status. Subclasses fix the code,
    so that `raise ClusterNotFound()` is enough at the point of refusal. `members` are what AWS's model has in the
    error beside its message, under their wire names; JSON protocols carry them.
    """

    code: str = "InvalidParameterException"
    status: int = 400
    message: str = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        members: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.members = members or {}
        self.message = type(self).message if message is None else message
        self.code = type(self).code if code is None else code
        self.status = type(self).status if status is None else status
        super().__init__(f"{self.code}: {self.message}")


class Unavailable(MoorageError):
    """Something outside did not answer as it should: a disk, a registry, a server. Worth another try."""
