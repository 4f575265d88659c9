"""Sessions of ECS Exec: a command that runs in a container beside what runs there. Source: ECS API, ExecuteCommand.

A record stands from ExecuteCommand to the session's end. Its token opens it once; then the container's instance is
told to run the command, and whoever opened it is its terminal.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.base.ids import AccountId, ContainerInstanceArn, Region, TaskArn

# ECS's own number.
SESSIONS_PER_CONTAINER_MAX: Final = 20
# Clients open a session at once; the `aws` command asks for the task in between.
TOKEN_VALID_S: Final = 60.0

# An agent's word that it takes `MoorageExecMessage`; the published agent runs Amazon's SSM agent instead, which needs
# Amazon's own service at the other end.
EXEC_ATTRIBUTE: Final = "moorage.capability.exec"
# What ECS calls the thing that runs commands, in the answers of DescribeTasks.
EXEC_AGENT: Final = "ExecuteCommandAgent"


class ExecSession(msgspec.Struct, frozen=True, kw_only=True):
    """`opened_at` is written once, by whoever takes the token: after that the token is void."""

    id: str
    account: AccountId
    region: Region
    cluster: str  # ARN
    task: TaskArn
    container: str  # name
    instance: ContainerInstanceArn
    command: tuple[str, ...]
    token_sha256: str
    created_at: float
    opened_at: float | None = None

    def is_void(self, now_s: float) -> bool:
        """Nobody opened it in time."""
        return self.opened_at is None and self.created_at + TOKEN_VALID_S < now_s
