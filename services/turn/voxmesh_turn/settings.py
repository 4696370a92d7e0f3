"""Settings of a turn detection service."""

from __future__ import annotations

from voxmesh_runtime.settings import EngineSettings


class TurnSettings(EngineSettings):
    """See the strings below the fields; `--help` prints them."""
