"""ECS account settings. Source: ECS API, PutAccountSetting."""

from __future__ import annotations

import msgspec

from moorage.base.ids import AccountId, Region


class AccountSetting(msgspec.Struct, frozen=True, kw_only=True):
    """`principal_arn` is "" for the account's default, which everyone without a setting of his own gets."""

    account: AccountId
    region: Region
    principal_arn: str
    name: str
    value: str
