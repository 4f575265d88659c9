"""Who may call: access keys and what they stand for."""

from __future__ import annotations

from typing import Literal

import msgspec

from moorage.base.ids import AccessKeyId, AccountId

NODE_ROLE = "moorage-node"
"""The role as which a node's key is told: see `AccessKey.principal_arn`."""


def is_node(principal_arn: str) -> bool:
    """Whether the caller is an agent."""
    return f":assumed-role/{NODE_ROLE}/" in principal_arn


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` root may do everything in its account; node may do what an agent does and nothing else."""

    id: AccessKeyId
    secret: str
    account: AccountId
    kind: Literal["root", "node"]
    created_at: float

    @property
    def principal_arn(self) -> str:
        """As GetCallerIdentity tells it."""
        if self.kind == "root":
            return f"arn:aws:iam::{self.account}:root"
        return f"arn:aws:sts::{self.account}:assumed-role/{NODE_ROLE}/{self.id}"

    @property
    def user_id(self) -> str:
        return self.account if self.kind == "root" else f"{self.id}:node"
