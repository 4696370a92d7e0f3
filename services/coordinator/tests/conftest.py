"""Tests that are marked `virtual` run on a loop in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from voxmesh_testing.virtual.loop import loop_factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of each test here."""
    del config
    return loop_factories(item)
