"""Settings of a turn detection service."""

from __future__ import annotations

from voxmesh_runtime.settings import ServerSettings


class TurnSettings(ServerSettings):
    """See the strings below the fields; `--help` prints them."""

    engine: str = "silero_smart_turn"
    """Name of an installed engine."""
