"""Engines outside the default set have environments of their own: elsewhere their tests are left alone."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from environments import optional_engines


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the folder of an engine that is not installed here."""
    return True if collection_path in _elsewhere().values() else None


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is left out, so that nobody takes it for tested."""
    del config
    return f"engines tested in environments of their own (make test-engines): {', '.join(_elsewhere()) or 'none'}"


def _elsewhere() -> dict[str, Path]:
    return {name: engine.path for name, engine in optional_engines().items() if not _is_installed(engine.name)}


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
