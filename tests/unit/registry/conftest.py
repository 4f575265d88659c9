"""A registry over an empty directory; tests that are coroutines run in a loop of their own."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from moorage.dataplane.registry import Registry
from tests.unit.registry.served import authenticate


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry", authenticate)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
