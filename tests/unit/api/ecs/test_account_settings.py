"""A principal's setting comes before the account's, and that before the built-in one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.api.call import Call
from moorage.base.errors import Refused
from tests.unit.api.ecs.asking import ask
from tests.unit.support import make_call

ROOT = "arn:aws:iam::123456789012:root"
USER = "arn:aws:iam::123456789012:user/ann"


def _effective(call: Call, name: str, **members: object) -> str:
    (setting,) = ask(call, "ListAccountSettings", name=name, effectiveSettings=True, **members)["settings"]
    return str(setting["value"])


def test_nothing_is_set_at_first() -> None:
    assert ask(make_call(), "ListAccountSettings") == {"settings": []}


def test_effective_settings_are_all_there_are_in_pages_of_ten() -> None:
    call = make_call()
    first = ask(call, "ListAccountSettings", effectiveSettings=True)
    second = ask(call, "ListAccountSettings", effectiveSettings=True, nextToken=first["nextToken"])
    settings = first["settings"] + second["settings"]
    assert len(settings) == 12
    assert {setting["principalArn"] for setting in settings} == {ROOT}
    told = {setting["name"]: (setting["value"], setting["type"]) for setting in settings}
    assert told["taskLongArnFormat"] == ("enabled", "user")
    assert told["defaultLogDriverMode"] == ("non-blocking", "user")
    assert told["guardDutyActivate"] == ("off", "aws_managed")
    assert told["fargateTaskRetirementWaitPeriod"] == ("7", "user")


def test_the_default_is_everyones_until_one_sets_his_own() -> None:
    call = make_call()
    default = ask(call, "PutAccountSettingDefault", name="awsvpcTrunking", value="enabled")["setting"]
    assert default == {"name": "awsvpcTrunking", "value": "enabled", "principalArn": ROOT, "type": "user"}
    assert _effective(call, "awsvpcTrunking", principalArn=USER) == "enabled"
    own = ask(call, "PutAccountSetting", name="awsvpcTrunking", value="disabled", principalArn=USER)["setting"]
    assert own["principalArn"] == USER
    assert _effective(call, "awsvpcTrunking", principalArn=USER) == "disabled"
    assert _effective(call, "awsvpcTrunking") == "enabled"
    listed = ask(call, "ListAccountSettings", principalArn=USER)["settings"]
    assert [(one["value"], one["principalArn"]) for one in listed] == [("disabled", USER)]


def test_what_the_root_sets_for_itself_is_the_default() -> None:
    call = make_call()
    ask(call, "PutAccountSetting", name="awsvpcTrunking", value="enabled")
    assert _effective(call, "awsvpcTrunking", principalArn=USER) == "enabled"
    assert ask(call, "ListAccountSettings", name="awsvpcTrunking")["settings"][0]["principalArn"] == ROOT


def test_deleting_a_setting_uncovers_what_is_beneath() -> None:
    call = make_call()
    ask(call, "PutAccountSettingDefault", name="awsvpcTrunking", value="enabled")
    ask(call, "PutAccountSetting", name="awsvpcTrunking", value="disabled", principalArn=USER)
    gone = ask(call, "DeleteAccountSetting", name="awsvpcTrunking", principalArn=USER)["setting"]
    assert (gone["value"], gone["principalArn"]) == ("disabled", USER)
    assert _effective(call, "awsvpcTrunking", principalArn=USER) == "enabled"
    ask(call, "DeleteAccountSetting", name="awsvpcTrunking")
    assert _effective(call, "awsvpcTrunking") == "disabled"


def test_settings_can_be_filtered_by_value() -> None:
    call = make_call()
    ask(call, "PutAccountSettingDefault", name="awsvpcTrunking", value="enabled")
    assert ask(call, "ListAccountSettings", name="awsvpcTrunking", value="enabled")["settings"]
    assert ask(call, "ListAccountSettings", name="awsvpcTrunking", value="disabled")["settings"] == []
    with pytest.raises(Refused, match="specify the name"):
        ask(call, "ListAccountSettings", value="enabled")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("colour", "red", "Unknown setting colour"),
        ("containerInsights", "on", "must be one of"),
        ("taskLongArnFormat", "disabled", "cannot be opted out of"),
        ("guardDutyActivate", "on", "cannot be changed"),
        ("fargateTaskRetirementWaitPeriod", "3", "must be one of"),
        ("fargateFIPSMode", "enabled", "no FIPS"),
        ("containerInsights", "enhanced", "keeps no metrics"),
        ("defaultLogDriverMode", "blocking", "never blocks a container"),
        ("tagResourceAuthorization", "on", "no policies"),
    ],
)
def test_values_that_cannot_hold_are_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        ask(make_call(), "PutAccountSetting", name=name, value=value)
    assert caught.value.code == "InvalidParameterException"


def test_some_settings_are_the_roots_alone() -> None:
    call = make_call()
    put = {"name": "fargateTaskRetirementWaitPeriod", "value": "14"}
    assert ask(call, "PutAccountSetting", **put)["setting"]["value"] == "14"
    with pytest.raises(Refused, match="root of the account only"):
        ask(call, "PutAccountSetting", **put, principalArn=USER)


def test_only_the_root_speaks_for_others() -> None:
    node = replace(make_call(), principal_arn="arn:aws:sts::123456789012:assumed-role/moorage-node/KEY")
    with pytest.raises(Refused, match="AccessDeniedException"):
        ask(node, "ListAccountSettings", principalArn=USER)
    with pytest.raises(Refused, match="InvalidParameterException: principalArn"):
        ask(make_call(), "ListAccountSettings", principalArn="arn:aws:iam::999999999999:user/eve")
