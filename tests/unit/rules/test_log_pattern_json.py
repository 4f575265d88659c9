"""Filter patterns over JSON events."""

import pytest

from moorage.rules.log_pattern import PatternInvalid, parse_pattern

EVENT = """ {"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another"],
  "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "ThisFlag": true,
  "size": 12.5, "big": 3e3, "text": "400", "user": {"session.id": "s-1"}, "off": false} """


def matches(pattern: str, message: str = EVENT) -> bool:
    return parse_pattern(pattern).matches(message)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType = "UpdateTrail" }',
        "{ $.eventType = UpdateTrail }",
        "{$.eventType=Update*}",
        '{ $.eventType = "*date*ail" }',
        "{ $.eventType = %Trail$% }",
        "{ $.sourceIPAddress != 123.123.* }",
        "{ $.arrayKey[0] = value }",
        "{ $.arrayKey[*] = another }",
        "{ $.objectList[1].id = 2 }",
        "{ $.objectList[*].name = b }",
        "{ $.SomeObject IS NULL }",
        "{ $.ThisFlag IS TRUE && $.off IS FALSE }",
        "{ $.SomeOtherObject NOT EXISTS }",
        "{ $.size > 12 && $.size <= 1.25e1 }",
        "{ $.big = 3000 }",
        "{ $.text = 400 }",
        '{ $.size = "12.5" }',
        '{ $.size = "*" }',
        '{ $.user.["session.id"] = "s-1" }',
        "{ ($.size < 1 || $.big >= 3000) && ($.eventType = UpdateTrail) }",
        "{ $.size < 1 && $.size < 2 || $.ThisFlag IS TRUE }",
        "{ $.* = UpdateTrail }",
    ],
)
def test_these_patterns_match_the_event(pattern: str) -> None:
    assert matches(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType = "updatetrail" }',
        "{ $.missing = * }",
        "{ $.missing != x }",
        "{ $.missing IS NULL }",
        "{ $.SomeObject NOT EXISTS }",
        "{ $.eventType > 3 }",
        "{ $.arrayKey[7] = value }",
        "{ $.arrayKey = value }",
        "{ $.SomeObject = * }",
        "{ $.size < 1 && ($.size < 2 || $.ThisFlag IS TRUE) }",
    ],
)
def test_these_patterns_do_not_match_the_event(pattern: str) -> None:
    assert not matches(pattern)


@pytest.mark.parametrize("message", ["", "plain text", "[1]", '{"a": ', '{"a": 1} trailing'])
def test_a_message_that_is_no_json_object_never_matches(message: str) -> None:
    assert not matches("{ $.a NOT EXISTS }", message)


def test_deeply_nested_json_is_no_match_and_no_crash() -> None:
    assert not matches("{ $.a = 1 }", '{"a":' * 100_000 + "1" + "}" * 100_000)


@pytest.mark.parametrize(
    "pattern",
    [
        "{",
        "{}",
        "{ $.a }",
        "{ $.a = }",
        "{ a = 1 }",
        "{ $.a = 1 && }",
        "{ ($.a = 1 }",
        "{ $.a = 1 } x",
        "{ $.a IS MAYBE }",
        "{ $.a NOT 1 }",
        "{ $.a > high }",
        "{ $.a > %x% }",
        "{ $.a ~ 1 }",
        "{ $.a[*][*].*.* = 1 }",
        "{ " + "(" * 200 + "$.a = 1" + ")" * 200 + " }",
        "{ $.a = %a% || $.b = %b% || $.c = %c% }",
    ],
)
def test_a_pattern_that_cannot_be_understood_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid, match=r"\w"):
        parse_pattern(pattern)
