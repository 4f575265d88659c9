"""Account settings: ListAccountSettings, PutAccountSetting, PutAccountSettingDefault, DeleteAccountSetting.

A principal's own setting comes before the account's default, and that before the built-in value. The root's own
setting *is* the account's default: everyone who has none gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from moorage.api.call import Call
from moorage.api.ecs.errors import AccessDenied, InvalidParameter
from moorage.api.ecs.lookup import list_page
from moorage.base.ids import Arn, Scope, partition_of
from moorage.model.account_setting import AccountSetting
from moorage.store import State, StateTx
from moorage.store.state import joined

PAGE_MAX: Final = 10  # AWS's own, and its default
_EVERYONE: Final = ""  # under which the account's default is kept


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: its built-in value and what it can be; a value in `why_not` exists in ECS, but not here."""

    values: tuple[str, ...]
    built_in: str
    root_only: bool = False
    managed: bool = False  # by AWS: can be read only
    why_not: Mapping[str, str] = {}


_ON_OFF: Final = ("enabled", "disabled")
_NO_METRICS: Final = "This installation keeps no metrics."
_LONG_ARN = Kind(
    values=_ON_OFF,
    built_in="enabled",
    why_not={"disabled": "The long ARN and resource ID format cannot be opted out of."},
)
KINDS: Final[Mapping[str, Kind]] = {
    # It lifts a bound on the interfaces of an instance; hosts here have no such bound, so either value is kept.
    "awsvpcTrunking": Kind(values=_ON_OFF, built_in="disabled"),
    "containerInsights": Kind(
        values=(*_ON_OFF, "enhanced"),
        built_in="disabled",
        why_not={"enabled": _NO_METRICS, "enhanced": _NO_METRICS},
    ),
    "containerInstanceLongArnFormat": _LONG_ARN,
    "defaultLogDriverMode": Kind(
        values=("blocking", "non-blocking"),
        built_in="non-blocking",
        why_not={"blocking": "The log driver of this installation never blocks a container."},
    ),
    "dualStackIPv6": Kind(
        values=_ON_OFF, built_in="disabled", why_not={"enabled": "The VPCs of this installation have no IPv6."}
    ),
    "fargateEventWindows": Kind(
        values=_ON_OFF, built_in="disabled", why_not={"enabled": "This installation has no event windows."}
    ),
    "fargateFIPSMode": Kind(
        values=_ON_OFF, built_in="disabled", why_not={"enabled": "This installation has no FIPS 140 cryptography."}
    ),
    # How long a task is left alone before its host is retired; none is retired here, so every wait is kept.
    "fargateTaskRetirementWaitPeriod": Kind(values=("0", "7", "14"), built_in="7", root_only=True),
    "guardDutyActivate": Kind(values=("on", "off"), built_in="off", managed=True),
    "serviceLongArnFormat": _LONG_ARN,
    "tagResourceAuthorization": Kind(
        values=("on", "off"), built_in="off", why_not={"on": "This installation has no policies that could be asked."}
    ),
    "taskLongArnFormat": _LONG_ARN,
}


class Setting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    value: str
    principal_arn: str
    type: Literal["user", "aws_managed"]


class SettingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    setting: Setting


def check_value(name: str, value: str) -> None:
    """Refuses a value that the setting cannot have."""
    kind = KINDS[name]
    if value not in kind.values:
        raise InvalidParameter(f"The value of {name} must be one of {', '.join(kind.values)}.")
    if value in kind.why_not:
        raise InvalidParameter(f"{name} cannot be {value}. {kind.why_not[value]}")


def effective_value(state: State | StateTx, scope: Scope, principal_arn: str, name: str) -> str:
    """What setting `name` is for a principal."""
    for holder in (_holder(scope, principal_arn), _EVERYONE):
        setting = state.account_settings.get(joined(*scope, holder, name))
        if setting is not None:
            return setting.value
    return KINDS[name].built_in


class ListAccountSettingsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str | None = None
    value: str | None = None
    principal_arn: str | None = None
    effective_settings: bool | None = None
    next_token: str | None = None
    max_results: int | None = None


class ListAccountSettingsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    settings: list[Setting]
    next_token: str | None = None


def list_account_settings(call: Call, request: ListAccountSettingsRequest) -> ListAccountSettingsAnswer:
    """What a principal has set, or with `effectiveSettings` what holds for it."""
    if request.name is not None:
        _kind(request.name)
    elif request.value is not None:
        raise InvalidParameter("To filter by value, specify the name of a setting too.")
    state = call.store.view()
    principal = _principal(call, request.principal_arn)
    found: dict[str, str] = {}
    for name in KINDS:
        if request.effective_settings:
            found[name] = effective_value(state, call.scope, principal, name)
        elif own := state.account_settings.get(_key(call, principal, name)):
            found[name] = own.value
    names = [
        name
        for name, value in found.items()
        if request.name in (None, name) and (request.value is None or request.value == value)
    ]
    chosen, following = list_page(names, request.next_token, request.max_results, largest=PAGE_MAX)
    # AWS tells effective settings under the root's name, whoever asks.
    told_as = _root(call.scope) if request.effective_settings else principal
    return ListAccountSettingsAnswer(
        settings=[_setting(name, found[name], told_as) for name in chosen], next_token=following
    )


class PutAccountSettingRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    value: str
    principal_arn: str | None = None


def put_account_setting(call: Call, request: PutAccountSettingRequest) -> SettingAnswer:
    """For one principal; by default the caller."""
    return _put(call, request.name, request.value, _principal(call, request.principal_arn))


class PutAccountSettingDefaultRequest(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


def put_account_setting_default(call: Call, request: PutAccountSettingDefaultRequest) -> SettingAnswer:
    """For everyone who has not set it."""
    return _put(call, request.name, request.value, _root(call.scope))


class DeleteAccountSettingRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    principal_arn: str | None = None


def delete_account_setting(call: Call, request: DeleteAccountSettingRequest) -> SettingAnswer:
    """Back to what holds without it. The answer tells the value that was set, or where none was, what holds."""
    _kind(request.name)
    principal = _principal(call, request.principal_arn)
    key = _key(call, principal, request.name)
    with call.store.update() as tx:
        value = effective_value(tx, call.scope, principal, request.name)
        tx.account_settings.delete(key)
    return SettingAnswer(setting=_setting(request.name, value, principal))


def _put(call: Call, name: str, value: str, principal: str) -> SettingAnswer:
    kind = _kind(name)
    if kind.managed:
        raise InvalidParameter(f"The setting {name} is managed by the platform and cannot be changed.")
    if kind.root_only and principal != _root(call.scope):
        raise InvalidParameter(f"The setting {name} can be set for the root of the account only.")
    check_value(name, value)
    with call.store.update() as tx:
        tx.account_settings.put(
            AccountSetting(
                account=call.scope.account,
                region=call.scope.region,
                principal_arn=_holder(call.scope, principal),
                name=name,
                value=value,
            )
        )
    return SettingAnswer(setting=_setting(name, value, principal))


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise InvalidParameter(f"Unknown setting {name}; known are {', '.join(KINDS)}.")
    return KINDS[name]


def _setting(name: str, value: str, principal: str) -> Setting:
    return Setting(
        name=name, value=value, principal_arn=principal, type="aws_managed" if KINDS[name].managed else "user"
    )


def _root(scope: Scope) -> str:
    return f"arn:{partition_of(scope.region)}:iam::{scope.account}:root"


def _holder(scope: Scope, principal: str) -> str:
    return _EVERYONE if principal.endswith(f"::{scope.account}:root") else principal


def _key(call: Call, principal: str, name: str) -> str:
    return joined(*call.scope, _holder(call.scope, principal), name)


def _principal(call: Call, asked: str | None) -> str:
    """The principal that a request is about; only the root may ask about another."""
    own = _root(call.scope) if _holder(call.scope, call.principal_arn) == _EVERYONE else call.principal_arn
    if not asked or asked == own:
        return own
    if own != _root(call.scope):
        raise AccessDenied("Only the root of the account may name another principal.")
    arn = Arn.parse(asked)
    kind = arn.resource.split("/")[0] if arn else ""
    if arn is None or arn.service != "iam" or arn.account != call.scope.account or kind not in ("user", "role"):
        raise InvalidParameter(
            f"principalArn must be the ARN of a user, role or root of account {call.scope.account}."
        )
    return asked
