"""What tests of all folders share: what is left out here, state of their own, and which of them stay together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from environments import optional_engines


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


# Child processes are other programs, which gRPC need not follow; it reads this when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that short ones fill the end where workers share the tests."""
    items.sort(key=_rank)
    for item in items:
        if _needs_mesh(item) and group_of(item.nodeid) != SHARED_MESH:
            raise pytest.UsageError(f"{item.nodeid} uses the one mesh unseen: name its type, `settings: MeshSettings`")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give modules to workers as they come, but all that share a model or the one mesh to one of them."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 # the environments of other engines lack it

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # the order is that of the collection
    return ByGroup(config, log)


def group_of(nodeid: str) -> str:
    """What a test stays together with: its module, all modules of its engine, or all that use the one mesh.

    The process that shares the tests out knows nothing of them but their names, so it looks into the module.
    """
    module = nodeid.partition("::")[0]
    if _mentions_mesh(module):
        return SHARED_MESH
    engine = re.match(r"services/[^/]+/engines/[^/]+/", module)
    return engine[0] if engine is not None else module


@cache
def _mentions_mesh(module: str) -> bool:
    text = (Path(__file__).parent / module).read_text()
    return re.search(r"\b(settings|shared_mesh): MeshSettings", text) is not None


def _rank(item: pytest.Item) -> int:
    kinds = ("mesh", "bench", "engine", "server", "virtual", "unit")
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
