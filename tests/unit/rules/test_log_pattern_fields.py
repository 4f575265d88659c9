"""Filter patterns over events of space-delimited fields."""

import pytest

from moorage.rules.log_pattern import PatternInvalid, parse_pattern

LINE = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


def matches(pattern: str, message: str = LINE) -> bool:
    return parse_pattern(pattern).matches(message)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ip, server, username, timestamp, request, status_code, bytes]",
        "[ip, server, username, timestamp, request, status_code = 404, bytes > 1000]",
        "[ip, ..., status_code = 4*, bytes]",
        '[ip, server, username, timestamp, request = "GET *", ...]',
        "[..., status_code >= 400 && status_code < 500, bytes]",
        "[ip=%127\\.0\\.0\\.[1-9]%, ...]",
        "[ip, server = Prod || server = Test, ...]",
        "[ip, server != Test, ...]",
        "[...]",
    ],
)
def test_these_patterns_match_the_line(pattern: str) -> None:
    assert matches(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ip, server]",
        "[a, b, c, d, e, f, g, h]",
        "[a, b, c, d, ..., e, f, g, h]",
        "[ip, ..., status_code = 5*, bytes]",
        "[..., bytes < 1000]",
        "[ip, server != Prod, ...]",
    ],
)
def test_these_patterns_do_not_match_the_line(pattern: str) -> None:
    assert not matches(pattern)


@pytest.mark.parametrize("pattern", ["[", "[a", "[a, ..., b, ...]", "[a = ]", "[a = 1 && b = 2]", "[a > x]", "[a b]"])
def test_a_pattern_that_cannot_be_understood_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid, match=r"\w"):
        parse_pattern(pattern)
