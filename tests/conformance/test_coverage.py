"""The list of what is not built is true, and nothing is declared that AWS does not have."""

from __future__ import annotations

import pytest

from moorage.boot.services import SERVICES
from tests.conformance.coverage import UNCOVERED, misnamed, uncovered


def test_the_list_of_what_is_not_built_is_exact() -> None:
    told = UNCOVERED.read_text().splitlines()
    assert list(uncovered()) == told, "run: python -m tests.conformance.coverage > tests/conformance/uncovered.txt"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_operation_and_member_is_one_of_awss(service: str) -> None:
    assert list(misnamed(SERVICES[service], service)) == []
