"""The linear matcher agrees with Python's own on the language that both know."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.rules.log_regex import LogRegex, RegexInvalid

_ATOMS = ["a", "b", "c", ".", "[ab]", "[^ab]", "[a-c]", r"\d", r"\D", r"\w", r"\s", " ", "-", r"\.", r"[b\d]"]
_REPEATS = ["", "", "", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}"]
_ROW = st.lists(st.tuples(st.sampled_from(_ATOMS), st.sampled_from(_REPEATS)), min_size=1, max_size=5)
_BRANCH = st.tuples(st.sampled_from(["", "", "^"]), _ROW, st.sampled_from(["", "", "$"]))


def _written(branch: tuple[str, list[tuple[str, str]], str]) -> str:
    start, row, end = branch
    return start + "".join(atom + repeat for atom, repeat in row) + end


@given(st.lists(_BRANCH, min_size=1, max_size=3), st.text("abc1 .-é\n", max_size=12))
def test_it_finds_what_a_backtracking_matcher_finds(
    branches: list[tuple[str, list[tuple[str, str]], str]], text: str
) -> None:
    expression = "|".join(map(_written, branches))
    wanted = re.search(expression.replace("$", r"\Z"), text, re.DOTALL | re.ASCII)
    assert LogRegex(expression).search(text) == (wanted is not None)


def test_an_expression_made_to_backtrack_takes_no_longer_than_any_other() -> None:
    assert not LogRegex("a*" * 300 + "b").search("a" * 100_000)


@pytest.mark.parametrize(
    "text", ["(a)", "a!", "é", "[", "[]", "[é]", "[z-a]", "a{", "a{2,1}", "a{9999}", "\\", "\\q", "*"]
)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(RegexInvalid):
        LogRegex(text)
