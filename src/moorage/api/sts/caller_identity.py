"""Who is calling. Source: STS API, GetCallerIdentity."""

from __future__ import annotations

import msgspec

from moorage.api.call import Call


class GetCallerIdentityRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """It has no members."""


class GetCallerIdentityResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    user_id: str
    account: str
    arn: str


def get_caller_identity(call: Call, request: GetCallerIdentityRequest) -> GetCallerIdentityResponse:
    del request  # it says nothing
    return GetCallerIdentityResponse(user_id=call.user_id, account=call.scope.account, arn=call.principal_arn)
