"""Filter patterns made of terms."""

import pytest

from moorage.rules.log_pattern import PatternInvalid, parse_pattern


def matches(pattern: str, message: str) -> bool:
    return parse_pattern(pattern).matches(message)


def test_an_empty_pattern_matches_everything() -> None:
    assert matches("", "anything")
    assert matches("  ", "")


def test_all_plain_terms_must_occur() -> None:
    assert matches("ERROR disk", "disk ERROR")
    assert not matches("ERROR disk", "ERROR")


def test_terms_are_case_sensitive_and_found_inside_words() -> None:
    assert matches("AUTHORIZED", "[ERROR 401] UNAUTHORIZED REQUEST")
    assert not matches("error", "ERROR")


def test_one_of_the_optional_terms_is_enough() -> None:
    assert matches("?ERROR ?WARN", "a WARN")
    assert not matches("?ERROR ?WARN", "an INFO")


def test_optional_terms_beside_others_count_for_nothing() -> None:
    assert matches("?ERROR disk", "disk")
    assert not matches("?ERROR disk", "ERROR")
    assert matches("?ERROR -disk", "INFO")


def test_an_excluded_term_rules_a_message_out() -> None:
    assert matches("ERROR -timeout", "ERROR disk")
    assert not matches("ERROR -timeout", "ERROR timeout")
    assert matches('-"out of memory"', "fine")


def test_a_quoted_phrase_is_one_term() -> None:
    assert matches('"INTERNAL SERVER ERROR"', "[500] INTERNAL SERVER ERROR")
    assert not matches('"SERVER ERROR"', "ERROR SERVER")
    assert matches(r'"say \"hi\""', 'say "hi"')


def test_a_regular_expression_stands_between_percent_signs() -> None:
    assert matches("%AUTHORI[SZ]ED% -admin", "UNAUTHORISED user")
    assert not matches("%^ERROR%", "an ERROR")


@pytest.mark.parametrize("pattern", ["foo-bar", "a.b", '"open', "%open", "%a(b)%", "%%", "%a% %b% %c%", "x" * 1025])
def test_a_pattern_that_cannot_be_understood_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid, match=r"\w"):
        parse_pattern(pattern)
