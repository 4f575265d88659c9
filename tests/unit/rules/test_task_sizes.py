"""Sizes are read in every form that ECS takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.rules.fargate import SIZES, size_is_valid
from moorage.rules.task_sizes import cpu_units, memory_mib


@pytest.mark.parametrize(
    ("text", "units"),
    [("256", 256), (".25 vCPU", 256), ("0.5vcpu", 512), ("1 vCPU", 1024), ("1vCPU", 1024), (" 2 vcpu ", 2048)],
)
def test_cpu_is_units_or_vcpus(text: str, units: int) -> None:
    assert cpu_units(text) == units


@pytest.mark.parametrize(("text", "mib"), [("512", 512), ("0.5GB", 512), ("1 GB", 1024), ("30gb", 30720)])
def test_memory_is_mib_or_gigabytes(text: str, mib: int) -> None:
    assert memory_mib(text) == mib


@pytest.mark.parametrize("text", ["", "vcpu", ".", "1.3 vCPU", "-1", "1e3", "٣", "²", "9" * 20, "1 GB", "0x10"])
def test_what_is_no_cpu_size_is_none(text: str) -> None:
    assert cpu_units(text) is None


@given(st.text())
def test_any_text_is_a_size_or_none(text: str) -> None:
    for size in (cpu_units(text), memory_mib(text)):
        assert size is None or size >= 0


def test_fargate_has_the_seven_sizes_with_their_memory() -> None:
    assert [len(memory) for memory in SIZES.values()] == [3, 4, 7, 13, 23, 12, 12]
    assert size_is_valid(256, 512)
    assert size_is_valid(8192, 61440)
    assert not size_is_valid(256, 4096)
    assert not size_is_valid(300, 512)
    assert not size_is_valid(8192, 17408)


def test_windows_on_fargate_begins_with_a_whole_vcpu() -> None:
    assert not size_is_valid(512, 1024, windows=True)
    assert size_is_valid(1024, 2048, windows=True)
