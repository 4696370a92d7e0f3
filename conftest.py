"""What tests of all folders share: what is left out here, state of their own, and which of them stay together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from environments import optional_engines


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


# In the environment of an engine that is not in the default set there is no client to start a mesh with.
pytest_plugins = ["shared_mesh"] if _is_installed("voxmesh-client") else []

SHARED_MESH = "shared_mesh"
"""The fixture of the one mesh, and the group of all tests that use it."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the folder of an engine that is not installed here."""
    return True if collection_path in _elsewhere().values() else None


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is left out, so that nobody takes it for tested."""
    del config
    return f"engines tested in environments of their own (make test-engines): {', '.join(_elsewhere()) or 'none'}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers share the tests: what uses the one mesh stays on one of them, every other module is whole.

    Groups begin in this order, so the longest come first and short ones fill the end.
    """
    items.sort(key=_rank)
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.get_closest_marker("xdist_group") is None:
                module = str(item.path.relative_to(config.rootpath))
                item.add_marker(pytest.mark.xdist_group(SHARED_MESH if _needs_mesh(item) else module))


def _rank(item: pytest.Item) -> int:
    kinds = ("mesh", "bench", "engine", "fakes", "unit")
    own = next((rank for rank, kind in enumerate(kinds, 1) if item.get_closest_marker(kind)), len(kinds))
    return 0 if _needs_mesh(item) else own


def _needs_mesh(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and SHARED_MESH in item.fixturenames


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep sessions and logs apart from those of the one who runs the tests, and of other workers."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXMESH_STATE_DIR", str(folder))
        patch.setenv("VOXMESH_SESSION_STORE", f"sqlite://{folder}/sessions.sqlite3")
        yield


@cache
def _elsewhere() -> dict[str, Path]:
    return {name: engine.path for name, engine in optional_engines().items() if not _is_installed(engine.name)}
