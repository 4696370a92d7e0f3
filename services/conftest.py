"""Tests of one engine stay on one worker, since they share its model."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Name the engine of each test, before any other hook gives tests to workers."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if (name := engine_of(item.path)) is not None:
                item.add_marker(pytest.mark.xdist_group(f"engine-{name}"))
    return (yield)


def engine_of(path: Path) -> str | None:
    """The engine whose test is in a file, `services/<slot>/engines/<name>/...`; None where it is no engine's."""
    match path.relative_to(SERVICES).parts if path.is_relative_to(SERVICES) else ():
        case (_, "engines", name, _, *_):
            return name
        case _:
            return None
